"""The sparse-coding solver on TensorFlow: the same steps, a faster gradient.

The gradient is that of the unrolled iterations, written out: the proximal
maps are one masking each, and what is element-wise can be fused.
"""

import tensorflow as tf

from keras_csc.ops.broadcasting import unbroadcast
from keras_csc.ops.convolution import analysis
from keras_csc.ops.convolution import synthesis
from keras_csc.ops.filter_gradient import filter_gradient
from keras_csc.ops.fusion import fusable


def unrolled(
    images, kernel, step_size, threshold, shrinkage, momenta, **arguments
):
    """Runs the iterations; see `sparse_coding.sparse_code`.

    Args:
        images: tensor `(batch, height, width, channels)`.
        kernel: tensor `(k, k, channels, filters)`.
        step_size: scalar tensor `η`; no gradient flows to it.
        threshold: `ηλ/(1 + ημ)`, broadcasts to the codes.
        shrinkage: `1/(1 + ημ)`, broadcasts to the codes, or `None` for 1.
        momenta: list of floats, the extrapolation before every iteration but
            the first.
        **arguments: `strides`, `padding` and `nonnegative`.
    """
    kernel = tf.convert_to_tensor(kernel)
    geometry = (arguments["strides"], arguments["padding"])
    nonnegative = arguments["nonnegative"]
    size = images.shape[1:3]
    if None in size:
        size = tf.unstack(tf.shape(images)[1:3])
    momenta = [tf.constant(m, images.dtype) if m else None for m in momenta]

    @tf.custom_gradient
    def solve(images, kernel, threshold, *shrinkage):
        step_kernel = kernel * step_size

        def step(residual, *point):
            update = analysis(residual, step_kernel, *geometry)
            return _proximal(
                update, point, threshold, *shrinkage, nonnegative=nonnegative
            )

        codes, residuals = [step(images)], [images]
        image = None
        for momentum in momenta:
            before = image
            image = synthesis(codes[-1], kernel, size, *geometry)
            if momentum is None:
                residual = images - image
                code = step(residual, codes[-1])
            else:
                residual = _residual(images, image, before, momentum)
                code = step(residual, codes[-1], codes[-2], momentum)
            codes.append(code)
            residuals.append(residual)

        def gradient(upstream):
            return _gradient(
                upstream,
                (kernel, threshold, *shrinkage),
                (codes, residuals),
                (step_size, momenta),
                (size, geometry),
            )

        return codes[-1], gradient

    factors = [] if shrinkage is None else [shrinkage]
    return solve(images, kernel, threshold, *factors)


@fusable
def _residual(images, image, before, momentum):
    """`x - A y` at an extrapolated point `y`, from `A z` and `A z'`."""
    return images - image - momentum * (image - before)


@fusable
def _proximal(update, point, threshold, *shrinkage, nonnegative):
    """The proximal map at `y + update`.

    The point `y` is given by `()` for 0, by `(z,)`, or by `(z, z', momentum)`.
    """
    values = update
    if point:
        values = values + point[0]
    if len(point) > 1:
        code, before, momentum = point
        values = values + momentum * (code - before)
    for factor in shrinkage:
        values = values * factor
    if nonnegative:
        return tf.nn.relu(values - threshold)
    if threshold.shape.rank == 0:
        clipped = tf.raw_ops.ClipByValue(
            t=values, clip_value_min=-threshold, clip_value_max=threshold
        )
    else:
        clipped = tf.clip_by_value(values, -threshold, threshold)
    return values - clipped


def _gradient(upstream, inputs, states, steps, geometry):
    """Gradients of the images, the kernel, the threshold and the shrinkage.

    What a code receives from the two points that it is a part of is added up
    as images, so that one analysis and one filter gradient serve both.
    """
    kernel, threshold, *shrinkage = inputs
    codes, residuals = states
    step_size, momenta = steps
    size, geometry = geometry
    step_kernel = kernel * step_size
    by_images, by_threshold, by_shrinkage = 0.0, 0.0, 0.0
    by_kernel, by_step_kernel = 0.0, 0.0
    active, later = _active(upstream, codes[-1]), (None, None, None)
    for index in range(len(codes) - 1, -1, -1):
        code = codes[index]
        by_threshold -= unbroadcast(active * tf.sign(code), threshold)
        for factor in shrinkage:
            values = (code + threshold * tf.sign(code)) / factor
            by_shrinkage += unbroadcast(active * values, factor)
            active = active * factor
        image = synthesis(active, step_kernel, size, *geometry)
        by_images += image
        by_step_kernel += filter_gradient(
            residuals[index], active, kernel.shape, *geometry
        )
        if index == 0:
            break
        code, momentum = codes[index - 1], momenta[index - 1]
        later_active, later_image, later_momentum = later
        later = active, image, momentum
        image = _mixed(image, momentum, later_image, later_momentum)
        by_kernel -= filter_gradient(image, code, kernel.shape, *geometry)
        active = _active_before(
            analysis(image, kernel, *geometry),
            code,
            (active, momentum, later_active, later_momentum),
        )
    return (
        by_images,
        by_kernel + step_size * by_step_kernel,
        by_threshold,
        *[by_shrinkage for _ in shrinkage],
    )


@fusable
def _active(upstream, code):
    """Gradient at the argument of the proximal map whose result is `code`."""
    zero = tf.zeros((), code.dtype)
    return tf.where(tf.not_equal(code, 0), upstream, zero)


@fusable
def _active_before(blurred, code, terms):
    """`_active` of a code, from what it receives: `_mixed(*terms)`."""
    return _active(_weighted(*terms) - blurred, code)


def _mixed(image, momentum, later, later_momentum):
    """`_weighted`, without a copy where there is no weight."""
    if momentum is None and later_momentum is None:
        return image
    return _weighted(image, momentum, later, later_momentum)


@fusable
def _weighted(value, momentum, later, later_momentum):
    """Adds up what comes from two points to a code that is a part of both.

    Args:
        value: tensor, from the point that the code is extrapolated to.
        momentum: scalar tensor, how far; `None` for 0.
        later: tensor, from the point after, extrapolated away from the code.
        later_momentum: scalar tensor, how far; `None` for 0.
    """
    if momentum is not None:
        value = value + momentum * value
    if later_momentum is not None:
        value = value - later_momentum * later
    return value
