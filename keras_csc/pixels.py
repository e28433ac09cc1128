"""Pixels 0..255 and images in [-1, 1], as NumPy arrays."""

import numpy as np


def from_pixels(pixels):
    """float32 images in [-1, 1] of uint8 pixels.

    Raises:
        ValueError: for other types than uint8: floats are in [-1, 1] already.
    """
    pixels = np.asarray(pixels)
    if pixels.dtype != "uint8":
        raise ValueError(
            "Images must be uint8, with values from 0 to 255, as "
            "`keras_csc.data.load_arrays` returns them. "
            f"Received: images of {pixels.dtype}"
        )
    return pixels.astype("float32") / 127.5 - 1.0


def to_pixels(images):
    """uint8 pixels of images in [-1, 1]; what lies beyond is cut off."""
    return np.rint((np.clip(images, -1, 1) + 1) * 127.5).astype("uint8")
