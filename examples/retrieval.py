"""Finds the images of a folder that are most like a query.

    python examples/retrieval.py QUERY.png FOLDER [--output=NEW.png]

All image files of FOLDER are searched, those of its folders too. Prints the
cosines and the files, and writes `retrieval.png`: the query, and what was
found.
"""

import argparse
import os

import numpy as np

import keras_csc
from keras_csc.data.image_files import LeftOut
from keras_csc.data.image_files import find_images
from keras_csc.data.image_files import read_pixels
from keras_csc.data.images import shaped
from keras_csc.pixels import from_pixels


def nearest(model, query, images, count):
    """Cosines of the most alike of `images`, and which they are."""
    cosines = (
        np.asarray(model.embed(images)) @ np.asarray(model.embed(query))[0]
    )
    order = np.argsort(-cosines)[:count]
    return cosines[order], order


def pictures(paths, shape):
    """Pixels of image files, in the shape that a model wants."""
    made = []
    for path in paths:
        try:
            made.append(shaped(read_pixels(path), shape))
        except ValueError as error:
            raise ValueError(f"{path} is no image: {error}") from error
    return np.array(made)


def search(options):
    """The files most like the query, their cosines, and all as pixels."""
    model = keras_csc.models.ClosedLoopAutoencoder.from_preset(options.preset)
    if model.encoder.features == "map":
        raise ValueError(
            f"{options.preset} has no vector for a whole image: name another "
            "--preset"
        )
    shape = model.encoder.image_shape
    query = pictures([options.query], shape)
    files = find_images(options.folder, LeftOut(options.folder))
    if not files:
        raise ValueError(f"there are no images in {options.folder}")
    paths = [os.path.join(options.folder, file) for file in files]
    images = pictures(paths, shape)
    cosines, order = nearest(model, query, images, options.count)
    shown = np.concatenate([query, images[order]])
    return [files[row] for row in order], cosines, shown


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
    if not os.path.isdir(options.folder):
        parser.error(f"{options.folder} is no folder: name one of images")
    if options.count < 1:
        parser.error(f"--count must be 1 or more. Received: {options.count}")
    try:
        files, cosines, shown = search(options)
    except (ImportError, OSError, ValueError) as error:
        parser.error(str(error))
    for cosine, file in zip(cosines, files):
        print(f"{cosine:.3f}  {file}")
    draw = keras_csc.visualization
    shown = from_pixels(shown)
    draw.save_png(options.output, draw.image_grid(shown, len(shown), scale=3))
    return cosines


if __name__ == "__main__":
    main()
