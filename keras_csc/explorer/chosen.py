"""Images to choose from: examples, and files of one's own."""

import collections

import numpy as np
import tensorflow as tf
from PIL import Image
from PIL import ImageOps

from keras_csc import data
from keras_csc.data import images
from keras_csc.data.embedded import PHOTOGRAPHS
from keras_csc.data.embedded import load_photograph
from keras_csc.data.image_files import deep_values
from keras_csc.data.image_files import opened
from keras_csc.models.architecture import LEAST_SIZE
from keras_csc.pixels import from_pixels

COUNT = 12
LOOKED_THROUGH = 500
DIGITS = (16, 16, 1)
# The most of a photograph for a model of maps.
WORKING_PIXELS = 2**19

Example = collections.namedtuple("Example", ["label", "image"])
Example.__doc__ = """An image to choose.

Fields:
    label: str.
    image: float32 array `(height, width, channels)` in [-1, 1].
"""


def examples_of(model, source=None, count=COUNT):
    """Images that suit a model.

    Images of a data set, if one is given, first one of every class. Else the
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
        drawn = model.sample(len(labels), labels, seed=0).numpy()
        return [Example(f"drawn: {n}", x) for n, x in zip(labels, drawn)]
    return [
        Example(name, _fitted(load_photograph(name), encoder)[0])
        for name in list(PHOTOGRAPHS)[:count]
    ]


def _of_source(source, count):
    pixels, labels = data.load_arrays(source, min(LOOKED_THROUGH, source.size))
    _, first = np.unique(labels, return_index=True)
    order = [*first, *np.delete(np.arange(len(labels)), first)][:count]
    names, found = source.class_names, []
    for number, place in enumerate(order, start=1):
        known = names is not None and labels[place] >= 0
        label = names[labels[place]] if known else f"{number}"
        found.append(Example(label, from_pixels(pixels[place])))
    return found


def read_upload(path, encoder):
    """Reads an image file for an encoder.

    It is turned upright as its EXIF orientation says. For a model of vectors
    it is resized and cut to the model's size, for one of maps shrunk to
    `WORKING_PIXELS` if it has more.

    Args:
        path: of a JPEG, PNG, GIF, BMP, TIFF or WebP file.
        encoder: `Encoder` or `ConvEncoder`.

    Returns:
        `(image, note)`: float32 array `(height, width, channels)` in [-1, 1],
        and a text that says what size it had and has.

    Raises:
        ValueError: for a file that can't be read, or an image that is too
            large or too small.
    """
    try:
        with opened(path) as image:
            if image.mode.startswith("I;16"):
                image = Image.fromarray((deep_values(image) >> 8).astype("u1"))
            pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except Exception as error:  # Pillow's are many.
        reason = " ".join(str(error).split()).replace(str(path), "it")
        raise ValueError(f"The file can't be read: {reason}.") from error
    return _fitted(pixels, encoder)


def _fitted(pixels, encoder):
    """uint8 pixels in colour as an encoder takes them; see `read_upload`."""
    height, width = pixels.shape[:2]
    shape, verb = encoder.image_shape, "resized and cut"
    if encoder.features == "map":
        if min(height, width) < LEAST_SIZE:
            raise ValueError(
                f"The image has {width}×{height} pixels, and must have at "
                f"least {LEAST_SIZE}×{LEAST_SIZE}."
            )
        scale = min((WORKING_PIXELS / (height * width)) ** 0.5, 1)
        sides = [max(LEAST_SIZE, int(n * scale)) for n in (height, width)]
        shape, verb = (*sides, shape[-1]), "shrunk"
    made = images.fit(tf.constant(pixels), shape).numpy()
    size = f"{made.shape[1]}×{made.shape[0]} pixels"
    if made.shape[:2] != pixels.shape[:2]:
        size = f"{verb} from {width}×{height} to {size}"
    return from_pixels(made), size
