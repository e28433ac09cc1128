"""Types of tensors, and the unit sphere that features lie on."""

import keras
from keras import ops

LEAST_SQUARE = 1e-12


def at_least_float32(tensor):
    """Casts half-precision tensors to float32, and leaves others."""
    tensor = ops.convert_to_tensor(tensor)
    return ops.cast(tensor, at_least_float32_of(tensor.dtype))


def as_floats(tensor):
    """Casts integers to float32, and leaves floats of any precision."""
    tensor = ops.convert_to_tensor(tensor)
    if keras.backend.is_float_dtype(tensor.dtype):
        return tensor
    return ops.cast(tensor, "float32")


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


def on_tensorflow(name, otherwise):
    """`ops.tensorflow`'s function of that name; elsewhere `otherwise`."""
    if keras.backend.backend() != "tensorflow":
        return otherwise
    from keras_csc.ops import tensorflow

    return getattr(tensorflow, name)


def solving(function):
    """A function of long loops, which TensorFlow traces.

    It is traced once for every shape of its tensors and every value of its
    other arguments. So pass numbers that change as tensors.
    """
    return on_tensorflow("solving", lambda same: same)(function)


def to_sphere(features):
    """`z / ‖z‖` of every row; a row of zeros stays what it is.

    Its gradient is finite everywhere. (The gradient of `keras.ops.normalize` is
    NaN for a row of zeros.)
    """
    features = ops.convert_to_tensor(features)
    precise = at_least_float32(features)
    squares = ops.sum(ops.square(precise), -1, keepdims=True)
    unit = precise / ops.sqrt(ops.maximum(squares, LEAST_SQUARE))
    return ops.cast(unit, keras.backend.result_type(features.dtype, float))
