"""Checks of images that are given as arrays."""

import numpy as np

from keras_csc.validation import check_finite
from keras_csc.validation import check_number
from keras_csc.validation import shown

# Beyond, pixels are not of [0, 1], whatever their noise.
MOST = 10.0
# How far outside of [0, 1] pixels of it may lie: so many deviations of their
# noise, which fewer than 1 of 10,000 exceed, and what sharpening and resampling
# overshoot by. So many of all may lie further, as where the noise is more.
DEVIATIONS, OVERSHOOT, FURTHER = 4, 0.1, 0.01


def image(value, name="image"):
    """A float32 image `(height, width, channels)` of an array.

    Args:
        value: array `(height, width)`, `(height, width, 1)` or `(height,
            width, 3)` of finite numbers, in `[0, 1]` but for noise.
        name: of the argument, for messages.

    Raises:
        ValueError: for what is no such image.
    """
    pixels = finite_image(value, name)
    check_range(pixels, name)
    return pixels


def check_range(pixels, name="image"):
    """Raises `ValueError` for pixels that are not of `[0, 1]`, for sure."""
    if np.max(np.abs(pixels)) > MOST:
        raise ValueError(
            f"`{name}` must be of floats in [0, 1], but for noise: divide "
            "those of 0..255, and their noise, by 255. Received: pixels from "
            f"{np.min(pixels):g} to {np.max(pixels):g}"
        )


def check_noise(noise, pixels, interval="(0, inf)"):
    """Raises `ValueError` for a deviation, or pixels that have another scale.

    Args:
        noise: float `σ`, in the units of the image.
        pixels: array of numbers that were measured. At most 1 % may lie
            further outside of `[0, 1]` than `4 σ + 0.1`.
        interval: text, of `check_number`.
    """
    check_number(interval, noise=noise)
    if noise > 1:
        raise ValueError(
            "`noise` must be at most 1, in the units of an image in [0, 1]: "
            f"25 / 255 for 25 of 255 levels. Received: {shown(noise)}"
        )
    most = DEVIATIONS * noise + OVERSHOOT
    if np.mean(np.abs(pixels - 0.5) > 0.5 + most) > FURTHER:
        raise ValueError(
            "`image` must be of floats in [0, 1], but for noise of the "
            "deviation `noise`. Of one in [-1, 1] give (image + 1) / 2, and "
            "half of its noise; of one with more noise say how much. Received: "
            f"pixels from {np.min(pixels):g} to {np.max(pixels):g} and "
            f"noise={shown(noise)}"
        )


def finite_image(value, name="image"):
    """`image`, of numbers of any size."""
    try:
        pixels = np.asarray(value, "float32")
    except (TypeError, ValueError):
        pixels = None
    if pixels is not None and pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels is None or pixels.ndim != 3 or pixels.shape[-1] not in (1, 3):
        raise ValueError(
            f"`{name}` must be an array (height, width), (height, width, 1) or "
            f"(height, width, 3). Received: {_described(value)}"
        )
    if not pixels.size:
        raise ValueError(
            f"`{name}` must have pixels. Received: {_described(value)}"
        )
    if np.asarray(value).dtype.kind in "iub":
        raise ValueError(
            f"`{name}` must be of floats in [0, 1]: divide integers by their "
            f"greatest value, such as 255. Received: {_described(value)}"
        )
    check_finite(name, pixels)
    return pixels


def mask(value, like):
    """A float32 mask `(height, width, 1 or channels)` of an array.

    Args:
        value: array of `False` and `True`, or numbers 0 and 1, of the height
            and width of the image, with or without an axis of channels.
        like: the image.

    Raises:
        ValueError: for what is no such mask, or has no pixel that is known.
    """
    known = np.asarray(value)
    if known.ndim == 2:
        known = known[..., None]
    fits = known.dtype.kind in "biuf" and known.ndim == 3
    fits = fits and known.shape[:2] == like.shape[:2]
    fits = fits and known.shape[2] in (1, like.shape[2])
    if not fits or not np.all((known == 0) | (known == 1)):
        raise ValueError(
            "`mask` must have the height and width of the image, "
            f"{like.shape[:2]}, and be 1 where pixels are known and 0 "
            f"elsewhere. Received: {_described(value)}"
        )
    if not np.any(known):
        raise ValueError("`mask` must be 1 somewhere: no pixel is known.")
    return known.astype("float32")


def blur(value):
    """A float32 kernel of odd sizes and of sum 1 of an array.

    Args:
        value: array `(height, width)` of numbers of at least 0.

    Raises:
        ValueError: for what is no such kernel.
    """
    try:
        kernel = np.asarray(value, "float32")
    except (TypeError, ValueError):
        kernel = np.zeros(0)
    fits = kernel.ndim == 2 and kernel.size and np.all(np.isfinite(kernel))
    if not fits or kernel.min() < 0 or kernel.sum() <= 0:
        raise ValueError(
            "`kernel` must be an array (height, width) of numbers of at least "
            f"0, not all 0. Received: {_described(value)}"
        )
    # The middle, the second of two, becomes the one middle of an odd size.
    widths = [(0, 1 - size % 2) for size in kernel.shape]
    return np.pad(kernel, widths) / kernel.sum()


def _described(value):
    shape = getattr(value, "shape", None)
    if shape is None:
        return shown(value)
    return f"{value.dtype} of shape {tuple(shape)}"
