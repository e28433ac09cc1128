"""The noise of an image, from the image alone."""

import numpy as np

# Daubechies' wavelet with two vanishing moments.
WAVELET = np.array([-0.1294095, -0.2241439, 0.8365163, -0.4829629])
LEAST_SIDE = 16


def estimate_noise(image):
    """The deviation of white Gaussian noise, from the finest details.

    `σ = median |d| / 0.6745`, where `d` are the diagonal coefficients of the
    finest scale of a wavelet. The largest of the channels counts: noise that is
    cut off at black or white is less. Fine textures are taken for noise.

    Args:
        image: float array `(height, width, channels)`, sides of at least 16.

    Returns:
        float, in the units of the image.

    Raises:
        ValueError: for a smaller image.

    Reference:
        Donoho & Johnstone, Ideal spatial adaptation by wavelet shrinkage,
        Biometrika 1994, section 4.
    """
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
    return float(np.max(np.median(np.abs(details), (0, 1))) / 0.6745)
