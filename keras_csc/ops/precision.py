"""Precision of what half precision is not enough for."""

import keras
from keras import ops


def at_least_float32(tensor):
    """Casts half-precision tensors to float32, and leaves others."""
    tensor = ops.convert_to_tensor(tensor)
    return ops.cast(tensor, at_least_float32_of(tensor.dtype))


def at_least_float32_of(dtype):
    """Name of the type that `at_least_float32` makes of another."""
    dtype = keras.backend.standardize_dtype(dtype)
    return keras.backend.result_type(dtype, "float32")


def as_dtype_of(value, tensor):
    """Makes a tensor of a number or tensor, in the dtype of another.

    A Python number does not lose digits on its way, as in `ops.cast`.
    """
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    if isinstance(value, (int, float)):
        return ops.convert_to_tensor(value, dtype)
    return ops.cast(value, dtype)
