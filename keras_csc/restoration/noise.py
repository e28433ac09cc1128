"""The noise of an image, from the image alone; and images of its scale."""

import numpy as np

from keras_csc.validation import check_finite
from keras_csc.validation import check_number
from keras_csc.validation import shown

# Daubechies' wavelet with two vanishing moments.
WAVELET = np.array([-0.1294095, -0.2241439, 0.8365163, -0.4829629])
LEAST_SIDE = 16
# Pixels may lie outside of [0, 1] by so many deviations of their noise, which
# fewer than 1 of 10,000 exceed, and by the overshoot of sharpening and
# resampling. The share `FURTHER` may lie further, where there is more noise.
DEVIATIONS, OVERSHOOT, FURTHER = 4, 0.1, 0.01


def estimate_noise(image):
    """The deviation of white Gaussian noise, from the finest details.

    `σ = median |d| / 0.6745`, where `d` are the diagonal coefficients of the
    finest scale of a wavelet. The largest of the channels counts: noise that is
    cut off at black or white is less. Fine textures are taken for noise.

    Args:
        image: array of floats in [0, 1], but for the noise, `(height, width)`
            or `(height, width, 1 or 3)`, sides of at least 16.

    Returns:
        float, in the units of the image.

    Raises:
        ValueError: for an image that is not as above.

    Reference:
        Donoho & Johnstone, Ideal spatial adaptation by wavelet shrinkage,
        Biometrika 1994, section 4.
    """
    image = pixels_of(image)
    if min(image.shape[:2]) < LEAST_SIDE:
        raise ValueError(
            f"The noise of an image can be estimated from {LEAST_SIDE} pixels "
            f"a side on. Say how much it is: `noise`. Received: {image.shape}"
        )
    details = np.asarray(image, "float64")
    for axis in (0, 1):
        details = np.apply_along_axis(np.convolve, axis, details, WAVELET)
        count = details.shape[axis]
        # Every second one, and none that the borders cut off.
        details = np.take(details, np.arange(3, count - 3, 2), axis)
    noise = float(np.max(np.median(np.abs(details), (0, 1))) / 0.6745)
    check_scale(image, noise)
    return noise


def pixels_of(image):
    """A float32 image `(height, width, channels)` of an array of floats."""
    given = np.asarray(image)
    pixels = given[..., None] if given.ndim == 2 else given
    fits = pixels.ndim == 3 and pixels.shape[-1] in (1, 3) and pixels.size
    if not fits or given.dtype.kind != "f":
        raise ValueError(
            "`image` must be an array of floats in [0, 1], (height, width), "
            "(height, width, 1) or (height, width, 3), with pixels; divide "
            "integers by their greatest value, such as 255. "
            f"Received: {described(given)}"
        )
    check_finite("image", pixels)
    return pixels.astype("float32")


def check_scale(pixels, noise, interval="[0, inf)"):
    """Raises `ValueError` for a deviation or pixels of another scale.

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


def described(array):
    return f"{array.dtype} of shape {array.shape}"
