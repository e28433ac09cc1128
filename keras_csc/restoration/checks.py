"""Checks of images that are given as arrays."""

import numpy as np

from keras_csc.validation import check_finite
from keras_csc.validation import check_number
from keras_csc.validation import shown

# How far outside of [0, 1] pixels may lie: so many deviations of their noise,
# which fewer than 1 of 10,000 exceed, and what sharpening and resampling
# overshoot by. `FURTHER` of all pixels may lie further, where there is more
# noise.
DEVIATIONS, OVERSHOOT, FURTHER = 4, 0.1, 0.01


def image(value, name="image"):
    """A float32 image `(height, width, channels)` of an array.

    Args:
        value: array of finite floats, `(height, width)`, `(height, width, 1)`
            or `(height, width, 3)`.
        name: of the argument, for messages.
    """
    given = np.asarray(value)
    pixels = given[..., None] if given.ndim == 2 else given
    fits = pixels.ndim == 3 and pixels.shape[-1] in (1, 3) and pixels.size
    if not fits or given.dtype.kind != "f":
        raise ValueError(
            f"`{name}` must be an array of floats in [0, 1], (height, width), "
            "(height, width, 1) or (height, width, 3), with pixels; divide "
            "integers by their greatest value, such as 255. "
            f"Received: {_described(given)}"
        )
    check_finite(name, pixels)
    return pixels.astype("float32")


def check_scale(pixels, noise, interval="[0, inf)"):
    """Raises `ValueError` for a deviation, or pixels that have another scale.

    Args:
        pixels: array of numbers that were measured. At most 1 % may lie
            further outside of `[0, 1]` than `4 σ + 0.1`.
        noise: float `σ`, in the units of the image.
        interval: text, of `check_number`.
    """
    check_number(interval, noise=noise)
    most = DEVIATIONS * noise + OVERSHOOT
    if noise > 1 or np.mean(np.abs(pixels - 0.5) > 0.5 + most) > FURTHER:
        raise ValueError(
            "`image` must be of floats in [0, 1], but for noise of the "
            "deviation `noise`, at most 1. Divide pixels of 0..255, and their "
            "noise, by 255; of an image in [-1, 1] give (image + 1) / 2, and "
            "half of its noise; if there is more noise, say how much. "
            f"Received: pixels from {np.min(pixels):g} to {np.max(pixels):g} "
            f"and noise={shown(noise)}"
        )


def mask(value, like):
    """A float32 mask `(height, width, 1 or channels)` of an image.

    Args:
        value: array of `False` and `True`, or numbers 0 and 1, of the height
            and width of the image, with or without an axis of channels.
        like: the image.
    """
    known = np.asarray(value)
    known = known[..., None] if known.ndim == 2 else known
    sizes = [(*like.shape[:2], channels) for channels in (1, like.shape[2])]
    if known.shape not in sizes or not np.all((known == 0) | (known == 1)):
        raise ValueError(
            "`mask` must have the height and width of the image, "
            f"{like.shape[:2]}, and be 1 where pixels are known and 0 "
            f"elsewhere. Received: {_described(np.asarray(value))}"
        )
    if not np.any(known):
        raise ValueError("`mask` must be 1 somewhere: no pixel is known.")
    return known.astype("float32")


def blur(value):
    """A float32 kernel of odd sizes and of sum 1.

    Args:
        value: array `(height, width)` of numbers of at least 0, not all 0.
    """
    kernel = np.asarray(value, "float32")
    if (
        kernel.ndim != 2
        or not kernel.size
        or not (kernel.min() >= 0 and 0 < kernel.sum() < np.inf)
    ):
        raise ValueError(
            "`kernel` must be an array (height, width) of numbers of at least "
            f"0, not all 0. Received: {_described(kernel)}"
        )
    # The middle, the second of two, becomes the one middle of an odd size.
    widths = [(0, 1 - size % 2) for size in kernel.shape]
    return np.pad(kernel, widths) / kernel.sum()


def _described(array):
    return f"{array.dtype} of shape {array.shape}"
