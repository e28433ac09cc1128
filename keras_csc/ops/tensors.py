"""Types of tensors, and the unit sphere that features lie on."""

import keras
from keras import ops

LEAST_SQUARE = 1e-12
# Below, the difference of float32 features of norm 1 is rounding.
LEAST_SINE = 1e-6


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


def great_circle(first, second, steps):
    """Points at equal distances on the shortest way over the sphere.

    `z(t) = cos(tθ) z₀ + sin(tθ) u`, `t = 0, 1/(steps-1), ..., 1`

    `θ` is the angle between `z₀` and `z₁`. `u` has norm 1 and lies in their
    plane, at a right angle to `z₀`. If `z₀` and `z₁` are equal, all points are.
    If they are antipodal, every great circle is a shortest way; this one goes
    towards the axis of the smallest number of `z₀`.

    Args:
        first: tensor `(n, ..., d)`, `z₀`, rows of norm 1.
        second: tensor of the same shape, `z₁`.
        steps: int, at least 2, points of each way with both ends.

    Returns:
        Tensor `(n, steps, ..., d)`, rows of norm 1.

    Reference:
        Shoemake, Animating rotation with quaternion curves, SIGGRAPH 1985.
    """
    first, second = map(ops.convert_to_tensor, (first, second))
    cosine = ops.sum(first * second, -1, keepdims=True)
    tangent = _perpendicular(second, first)
    sine = ops.norm(tangent, axis=-1, keepdims=True)
    parallel = sine < LEAST_SINE
    smallest = ops.argmin(ops.abs(first), -1)
    axis = ops.one_hot(smallest, first.shape[-1], dtype=first.dtype)
    tangent = ops.where(parallel, _perpendicular(axis, first), tangent)
    tangent = to_sphere(_perpendicular(to_sphere(tangent), first))
    sine = ops.where(parallel, ops.zeros_like(sine), sine)
    angle = ops.expand_dims(ops.arctan2(sine, cosine), 1)
    part = ops.linspace(0.0, 1.0, steps, dtype=first.dtype)
    part = ops.reshape(part, (1, steps, *[1] * (len(first.shape) - 1)))
    first, tangent = (ops.expand_dims(each, 1) for each in (first, tangent))
    return to_sphere(
        ops.cos(part * angle) * first + ops.sin(part * angle) * tangent
    )


def _perpendicular(vectors, directions):
    """What is left of vectors without the part in directions of norm 1."""
    along = ops.sum(vectors * directions, -1, keepdims=True)
    return vectors - along * directions
