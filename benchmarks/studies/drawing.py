"""Pictures of the studies."""

import functools

import numpy as np
from PIL import Image

from keras_csc import visualization
from keras_csc.callbacks.pictures import draw_atoms

SIMILAR = 1000


def save_strips(path, image_sets):
    """Writes rows of images as a picture that loses nothing."""
    rows = [np.concatenate(list(images), axis=1) for images in image_sets]
    strip = np.concatenate(rows, axis=0)
    pixels = np.rint((np.clip(strip, -1, 1) + 1) * 127.5).astype("uint8")
    pixels = np.broadcast_to(pixels, pixels.shape[:-1] + (3,))
    visualization.save_png(path, pixels)


def load_strips(path, side=32):
    """The rows of images that `save_strips` wrote, in [-1, 1]."""
    pixels = np.asarray(Image.open(path)).astype("float32") / 127.5 - 1
    height, width = pixels.shape[0] // side, pixels.shape[1] // side
    tiles = pixels.reshape(height, side, width, side, 3)
    return list(tiles.transpose(0, 2, 1, 3, 4))


def inside(subject, images, labels):
    """Pictures of a network's insides.

    Returns:
        Dict from names to functions that save them at a path.
    """
    drawn = {
        name: functools.partial(_save_png, picture=picture)
        for name, picture in draw_atoms(subject.model).items()
    }
    codes = subject.model.encoder.stages(images[:1]).codes
    for number, code in enumerate(codes, start=1):
        maps = visualization.code_maps(
            np.asarray(code[0], "float32"), columns=8
        )
        drawn[f"codes_{number}"] = functools.partial(_save_png, picture=maps)
    features = subject.encode(images[:SIMILAR])
    figure = visualization.similarity_figure(features, labels[:SIMILAR])
    drawn["similarity"] = functools.partial(_save_figure, figure=figure)
    return drawn


def _save_png(path, picture):
    visualization.save_png(path, picture)


def _save_figure(path, figure):
    visualization.save_figure(path, figure)
