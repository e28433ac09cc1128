"""Pixels 0..255 and images in [-1, 1], as NumPy arrays."""

import numpy as np


def from_pixels(pixels):
    """float32 images in [-1, 1] of pixels in 0..255."""
    return np.asarray(pixels).astype("float32") / 127.5 - 1.0


def to_pixels(images):
    """uint8 pixels of images in [-1, 1]; what lies beyond is cut off."""
    return np.rint((np.clip(images, -1, 1) + 1) * 127.5).astype("uint8")
