"""Finds the images of a folder that are most like a query.

    python examples/retrieval.py QUERY.png FOLDER [--output=NEW.png]

FOLDER is as `keras_csc.data.open_dataset("image_folder", ...)` wants it. Prints
the cosines, and writes `retrieval.png`: the query, and what was found.
"""

import argparse
import os

import numpy as np
import tensorflow as tf

import keras_csc
from keras_csc.data.images import read
from keras_csc.pixels import from_pixels


def nearest(model, query, images, count):
    """Cosines of the most alike of `images`, and which they are."""
    cosines = (
        np.asarray(model.embed(images)) @ np.asarray(model.embed(query))[0]
    )
    order = np.argsort(-cosines)[:count]
    return cosines[order], order


def main(arguments=None):
    """Does what the command line says; returns the cosines."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("query")
    parser.add_argument("folder")
    parser.add_argument("--preset", default="csc_ctrl_cifar10")
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--output", default="retrieval.png")
    options = parser.parse_args(arguments)
    if os.path.exists(options.output):
        parser.error(f"{options.output} is there already: name another file")
    if not os.path.isfile(options.query):
        parser.error(f"{options.query} is no file: name an image")
    model = keras_csc.models.ClosedLoopAutoencoder.from_preset(options.preset)
    shape = model.encoder.image_shape
    query = read(tf.io.read_file(options.query), shape)[None]
    source = keras_csc.data.open_dataset(
        "image_folder", "train", shape, data_dir=options.folder
    )
    images, _ = keras_csc.data.load_arrays(source)
    cosines, order = nearest(model, query, images, options.count)
    for cosine, row in zip(cosines, order):
        print(f"{cosine:.3f}  image {row}")
    shown = from_pixels(np.concatenate([query, images[order]]))
    draw = keras_csc.visualization
    draw.save_png(options.output, draw.image_grid(shown, len(shown), scale=3))
    return cosines


if __name__ == "__main__":
    main()
