"""Kernels, strides and sizes that the operators of convolution are tried at."""

import numpy as np

# Kernels below, of and above the stride, odd and even.
CASES = [
    (1, 1, "same"),
    (1, 2, "valid"),
    (2, 2, "same"),
    (2, 3, "valid"),
    (4, 1, "valid"),
    (4, 2, "same"),
    (4, 3, "valid"),
    (7, 2, "valid"),
    (7, 3, "same"),
]
SIZES = [(9, 10), (11, 12)]


def draw(seed, kernel_size, image_size, channels=2, filters=3):
    """A kernel and two images, by a seed or a generator."""
    rng = np.random.default_rng(seed)
    kernel = rng.normal(size=(kernel_size, kernel_size, channels, filters))
    return kernel, rng.normal(size=(2, *image_size, channels))
