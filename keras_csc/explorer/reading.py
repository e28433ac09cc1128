"""Uploaded images: bounded, decoded within a graph, and made to fit a model."""

import functools
import io
import os
import re

import numpy as np
import tensorflow as tf
from PIL import Image

from keras_csc.data import images
from keras_csc.data.headers import FORMATS
from keras_csc.models.architecture import LEAST_SIZE
from keras_csc.pixels import from_pixels

MOST_BYTES = 20 * 2**20
MOST_PIXELS = 2**25
# Of a photograph that a model of maps is given.
WORKING_PIXELS = 2**19


def read_upload(path, encoder):
    """Reads an image file for an encoder.

    It is turned upright as its EXIF orientation says. For a model of vectors
    it is resized and cut to the model's size, for one of maps shrunk to
    `WORKING_PIXELS` if it has more.

    Args:
        path: of a JPEG, PNG, GIF, BMP or WebP file.
        encoder: `Encoder` or `ConvEncoder`.

    Returns:
        `(image, note)`: float32 array `(height, width, channels)` in [-1, 1],
        and a text that says what size it had and has.

    Raises:
        ValueError: for a file that is too large, of another kind, or damaged.
    """
    size = os.path.getsize(path)
    if size > MOST_BYTES:
        raise ValueError(
            f"The file has {size:,} bytes, more than {MOST_BYTES:,}: make the "
            "image smaller."
        )
    with open(path, "rb") as file:
        encoded = file.read(MOST_BYTES)
    try:
        pixels = _decoder(encoder.image_shape[-1])(encoded).numpy()
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(_reason(error)) from error
    return fitted(_upright(pixels, encoded), encoder)


def fitted(pixels, encoder):
    """Pixels as an encoder takes them; see `read_upload`.

    Args:
        pixels: uint8 array `(height, width, channels)`.
        encoder: `Encoder` or `ConvEncoder`.
    """
    height, width = pixels.shape[:2]
    if encoder.features == "vector":
        made = images.fit(tf.constant(pixels), encoder.image_shape).numpy()
        verb = "resized and cut"
    elif min(height, width) < LEAST_SIZE:
        raise ValueError(
            f"The image has {width}×{height} pixels, and must have at least "
            f"{LEAST_SIZE}×{LEAST_SIZE}."
        )
    else:
        made, verb = _shrunk(pixels), "shrunk"
    size = f"{made.shape[1]}×{made.shape[0]} pixels"
    if made.shape != pixels.shape:
        size = f"{verb} from {width}×{height} to {size}"
    return from_pixels(made), size


@functools.cache
def _decoder(channels):
    """A graph from an encoded file to its pixels."""

    def read(encoded):
        return images.read(
            encoded,
            (None, None, channels),
            name=lambda: "The file",
            most_pixels=MOST_PIXELS,
        )

    return tf.function(
        read,
        input_signature=[tf.TensorSpec([], tf.string)],
        autograph=False,
    )


def _reason(error):
    """What a decoder said, in one line."""
    text = " ".join(str(error.message).split())
    found = re.search(r"\[b?['\"]?(The file .*?)['\"]?\]", text)
    return found[1] if found else "The file is damaged: it can't be decoded."


def _upright(pixels, encoded):
    try:
        with Image.open(io.BytesIO(encoded), formats=FORMATS) as image:
            turn = image.getexif().get(images.ORIENTATION, 1)
    except Exception:  # Pillow's are many; without EXIF it is upright.
        return pixels
    return images.upright(pixels, turn)


def _shrunk(pixels):
    height, width, channels = pixels.shape
    scale = (WORKING_PIXELS / (height * width)) ** 0.5
    if scale >= 1:
        return pixels
    size = [max(LEAST_SIZE, int(n * scale)) for n in (width, height)]
    # Pillow has no axis for a sole channel.
    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3)
    return np.asarray(image).reshape(size[1], size[0], channels)
