"""Restores a photograph from its measurements, with a denoiser."""

import numpy as np
from keras import ops

from keras_csc.ops.tensors import solving
from keras_csc.restoration.linear import Measurement
from keras_csc.restoration.linear import conjugate_residuals

# The most steps of conjugate residuals.
STEPS = 500
# `w`: how much a denoised image weighs, beside the trust in its level.
WEIGHT = 0.4


def restore(image, mask, blur, noise, smoothness, levels, denoise):
    """Restores an image `x` from `y = M H x + noise`, by splitting.

    It begins with `smooth_part`, and takes every level `τ` in turn. `v` is what
    a denoiser makes of `x` at the noise level `τ`. The next `x` is
    `argmin_x ‖y - M H x‖²/σ² + w ‖x - v‖²/τ²`. The scene goes on beyond the
    borders as far as the blur carries it in, and is estimated there too.

    Args:
        image: float32 array `y` `(height, width, channels)`.
        mask: array `M` of 0 and 1 that broadcasts to it.
        blur: array `(2r + 1, 2t + 1)`, or `None`.
        noise: float `σ ≥ 0`, standard deviation.
        smoothness: float, as in `smooth_part`.
        levels: floats, the `τ`.
        denoise: function of an image and a level.

    Returns:
        float32 array of the shape of `image`.

    References:
        Zoran & Weiss, From learning models of natural image patches to whole
        image restoration, ICCV 2011, section 3; Zhang et al., Plug-and-play
        image restoration with deep denoiser prior, IEEE TPAMI 2022, for levels
        that begin at 49 of 255 and for `w`.
    """
    height, width, _ = image.shape
    rows, columns = (0, 0) if blur is None else (n // 2 for n in blur.shape)
    beyond = [(rows, rows), (columns, columns), (0, 0)]
    known = np.broadcast_to(np.float32(mask), image.shape)
    known = np.pad(known, beyond)[None]
    blur = None if blur is None else ops.convert_to_tensor(blur)
    measurement = Measurement(ops.convert_to_tensor(known), blur)
    measured = ops.convert_to_tensor(known * np.pad(image, beyond)[None])
    estimate = solving(smooth_part)(measured, smoothness, measurement)
    for level in levels:
        mean = denoise(ops.convert_to_numpy(estimate)[0], level)
        mean = ops.convert_to_tensor(mean[None])
        missed = measured - measurement.forward(mean)
        weight = WEIGHT * (noise / level) ** 2
        weight = ops.convert_to_tensor(weight, "float32")
        estimate = mean + solving(ridge_regression)(missed, weight, measurement)
    estimate = ops.convert_to_numpy(estimate)[0]
    return estimate[rows : rows + height, columns : columns + width]


def smooth_part(images, smoothness, measurement):
    """The smooth image that explains a measurement, by Tikhonov.

    It is `argmin_l ½‖y - M H l‖² + (α/2)‖∇l‖²`, with the differences of
    neighbours as `∇`, by conjugate residuals. Where nothing is measured, it is
    what a membrane would be.

    Args:
        images: tensor `y` `(batch, height, width, channels)`, 0 where nothing
            is measured.
        smoothness: float `α > 0`. Without mask and blur, waves of
            `2π √α` pixels are halved.
        measurement: `Measurement`.

    Returns:
        Tensor `l` of the shape of `images`.

    Reference:
        Wohlberg, SPORCO: a Python package for standard and convolutional
        sparse representations, SciPy 2017, for low frequencies.
    """
    return _solved(
        images, measurement, lambda values: smoothness * _roughness(values)
    )


def ridge_regression(images, weight, measurement):
    """`argmin_x ½‖y - M H x‖² + (w/2)‖x‖²`, by conjugate residuals.

    Args:
        images, measurement: as in `smooth_part`.
        weight: float `w ≥ 0`.
    """
    return _solved(images, measurement, lambda values: weight * values)


def _solved(images, measurement, slope):
    """Where `Hᵀ Mᵀ (M H x - y)` and the slope of a penalty add up to 0."""

    def curvature(values):
        normal = measurement.adjoint(measurement.forward(values))
        return normal + slope(values)

    return conjugate_residuals(curvature, measurement.adjoint(images), STEPS)


def _roughness(images):
    """`∇ᵀ∇` of images: differences at the borders are 0."""
    total = 0
    for axis in (1, 2):
        step = ops.diff(images, axis=axis)
        before, after = [[0, 0]] * 4, [[0, 0]] * 4
        before[axis], after[axis] = [1, 0], [0, 1]
        total = total + ops.pad(step, before) - ops.pad(step, after)
    return total
