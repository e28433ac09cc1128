"""Uploaded images: bounded, upright, and made to fit a model."""

import os

import numpy as np
import tensorflow as tf
from PIL import Image
from PIL import ImageOps

from keras_csc.data import images
from keras_csc.models.architecture import LEAST_SIZE
from keras_csc.pixels import from_pixels

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "WEBP")
MOST_BYTES = 20 * 2**20
MOST_PIXELS = 2**25
# The most of a photograph for a model of maps.
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
    """
    size = os.path.getsize(path)
    if size > MOST_BYTES:
        raise ValueError(
            f"The file has {size:,} bytes, more than {MOST_BYTES:,}: make the "
            "image smaller."
        )
    channels = encoder.image_shape[-1]
    try:
        with Image.open(path, formats=FORMATS) as image:
            height, width = image.height, image.width
            small = height * width <= MOST_PIXELS
            pixels = _decoded(image, channels) if small else None
    except Exception as error:  # Pillow's are many.
        reason = " ".join(str(error).split()).replace(str(path), "it")
        raise ValueError(
            "The file can't be read as a JPEG, PNG, GIF, BMP or WebP image: "
            f"{reason}"
        ) from error
    if not small:
        raise ValueError(
            f"The image has {width}×{height} pixels, more than "
            f"{MOST_PIXELS:,}: make it smaller."
        )
    return fitted(pixels, encoder)


def _decoded(image, channels):
    if image.mode.startswith("I;16"):
        wide = np.asarray(image, "float64") / 257
        image = Image.fromarray(np.rint(wide).astype("uint8"))
    image = ImageOps.exif_transpose(image)
    pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(*pixels.shape[:2], channels)


def fitted(pixels, encoder):
    """uint8 pixels as an encoder takes them; see `read_upload`."""
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
