"""Kernels, strides and sizes that the operators of convolution are tried at."""

import numpy as np

CASES = [
    (k, s, padding)
    for k in (1, 2, 4, 7)
    for s in (1, 2, 3)
    for padding in ("same", "valid")
]
SIZES = [(9, 10), (11, 12)]


def draw(seed, kernel_size, image_size, channels=2, filters=3):
    """A kernel and two images, by a seed or a generator."""
    rng = np.random.default_rng(seed)
    kernel = rng.normal(size=(kernel_size, kernel_size, channels, filters))
    return kernel, rng.normal(size=(2, *image_size, channels))
