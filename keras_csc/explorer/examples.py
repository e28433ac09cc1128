"""Images to begin with: nothing is downloaded."""

import collections

import numpy as np

from keras_csc import data
from keras_csc.data.embedded import PHOTOGRAPHS
from keras_csc.data.embedded import load_photograph
from keras_csc.data.images import in_channels
from keras_csc.explorer.reading import fitted
from keras_csc.pixels import from_pixels

COUNT = 12
LOOKED_THROUGH = 500
DIGITS = (16, 16, 1)

Example = collections.namedtuple("Example", ["label", "image"])
Example.__doc__ = """An image to choose.

Fields:
    label: str.
    image: float32 array `(height, width, channels)` in [-1, 1].
"""


def examples_of(model, source=None, count=COUNT):
    """Images that suit a model.

    Images of a data set, if one is given, of all classes in turn. Else the
    digits of scikit-learn for a model of their size, images that the model's
    density draws, or the photographs of scikit-image and scikit-learn.

    Args:
        model: `ClosedLoopAutoencoder`.
        source: what `data.open_dataset` opened, or `None`.
        count: int, how many at most.

    Returns:
        List of `Example`.
    """
    encoder = model.encoder
    if source is None and encoder.image_shape == DIGITS:
        source = data.open_dataset("digits", "test", DIGITS)
    if source is not None:
        return _of_source(source, count)
    if model.density is not None:
        classes = np.flatnonzero(model.density.priors)
        labels = np.sort(np.resize(classes, min(count, 2 * len(classes))))
        images = model.sample(len(labels), labels, seed=0).numpy()
        return [Example(f"drawn: {n}", x) for n, x in zip(labels, images)]
    return [
        Example(name, _photograph(name, encoder))
        for name in list(PHOTOGRAPHS)[:count]
    ]


def _of_source(source, count):
    pixels, labels = data.load_arrays(source, min(LOOKED_THROUGH, source.size))
    turns = np.zeros(len(labels), int)
    for label in np.unique(labels):
        turns[labels == label] = np.arange(np.sum(labels == label))
    order = np.lexsort((labels, turns))[:count]
    names = source.class_names
    return [
        Example(
            f"{number}" if names is None else names[labels[place]],
            from_pixels(pixels[place]),
        )
        for number, place in enumerate(order, start=1)
    ]


def _photograph(name, encoder):
    pixels = in_channels(load_photograph(name), encoder.image_shape[-1])
    return fitted(np.asarray(pixels), encoder)[0]
