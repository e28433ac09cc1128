"""The largest eigenvalue of `AᵀA`, which bounds the step of ISTA."""

import keras
from keras import ops

from keras_csc.ops.convolution import analysis
from keras_csc.ops.convolution import synthesis


def power_iteration(kernel, vector, strides=1, padding="same", iterations=1):
    """Runs power iterations `v ← A Aᵀ v / ‖A Aᵀ v‖` on an image-shaped vector.

    Args:
        kernel: tensor `(k, k, channels, filters)`.
        vector: tensor `(1, height, width, channels)` of unit norm, where the
            iteration starts; the previous result, for a warm start.
        strides: int.
        padding: `"same"` or `"valid"`.
        iterations: int, at least 1.

    Returns:
        `(eigenvalue, vector)`: the Rayleigh quotient `‖Aᵀv‖²` of the last
        but one vector, a lower bound of `λmax(AᵀA)` for images of that size
        that rises with the iterations, and the last vector, of unit norm.
    """
    for _ in range(iterations):
        codes = analysis(vector, kernel, strides, padding)
        eigenvalue = ops.sum(ops.square(codes))
        vector = synthesis(codes, kernel, vector.shape[1:3], strides, padding)
        norm = ops.sqrt(ops.sum(ops.square(vector)))
        vector = vector / ops.maximum(norm, keras.config.epsilon())
    return eigenvalue, vector


def operator_norm(
    kernel, image_size, strides=1, padding="same", iterations=100, seed=0
):
    """Estimates `λmax(AᵀA) = ‖A‖²` for images of one size from a cold start.

    Args:
        kernel: tensor `(k, k, channels, filters)`.
        image_size: `(height, width)`.
        strides: int.
        padding: `"same"` or `"valid"`.
        iterations: int, at least 1.
        seed: int, of the random start.

    Returns:
        Scalar tensor.
    """
    shape = (1, *image_size, kernel.shape[2])
    vector = keras.random.normal(shape, dtype=kernel.dtype, seed=seed)
    vector = vector / ops.sqrt(ops.sum(ops.square(vector)))
    return power_iteration(kernel, vector, strides, padding, iterations)[0]
