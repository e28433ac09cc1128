"""Quadratic programs of an image, by conjugate residuals."""

from keras import ops

from keras_csc.ops.implicit_gradient import conjugate_residuals
from keras_csc.ops.measurement import Measurement
from keras_csc.validation import check_number

ITERATIONS = 500


def smooth_part(images, smoothness, measurement=None, iterations=ITERATIONS):
    """The smooth image that explains a measurement, by Tikhonov.

    `argmin_l ½‖y - M H l‖² + (α/2)‖∇l‖²`, with the differences of neighbours
    as `∇`, by conjugate residuals. Where nothing is measured, it is what a
    membrane would be there.

    Args:
        images: tensor `y` `(batch, height, width, channels)`, 0 where nothing
            is measured.
        smoothness: float `α > 0`. Without mask and blur, waves of
            `2π √α` pixels are halved.
        measurement: `ops.Measurement`, or `None` for the identity.
        iterations: int, the most steps of conjugate residuals.

    Returns:
        Tensor `l` of the shape of `images`.

    Reference:
        Wohlberg, SPORCO: a Python package for standard and convolutional
        sparse representations, SciPy 2017, for low frequencies treated so.
    """
    if isinstance(smoothness, (int, float)):
        check_number("(0, inf)", smoothness=smoothness)
    return _solved(
        images,
        measurement or Measurement(),
        lambda values: smoothness * _roughness(values),
        iterations,
    )


def ridge_regression(images, weight, measurement, iterations=ITERATIONS):
    """`argmin_x ½‖y - M H x‖² + (w/2)‖x‖²`, by conjugate residuals.

    Args:
        images, measurement, iterations: as of `smooth_part`.
        weight: float `w > 0`.
    """
    return _solved(
        images, measurement, lambda values: weight * values, iterations
    )


def _solved(images, measurement, slope, iterations):
    """Where `Hᵀ Mᵀ (M H x - y)` and the slope of a penalty add up to 0."""

    def curvature(values):
        seen = measurement.adjoint(measurement.forward(values))
        return seen + slope(values)

    return conjugate_residuals(
        curvature, measurement.adjoint(images), iterations
    )


def _roughness(images):
    """`∇ᵀ∇` of images: differences at the borders are 0."""
    total = 0
    for axis in (1, 2):
        step = ops.diff(images, axis=axis)
        before, after = [[0, 0]] * 4, [[0, 0]] * 4
        before[axis], after[axis] = [1, 0], [0, 1]
        total = total + ops.pad(step, before) - ops.pad(step, after)
    return total
