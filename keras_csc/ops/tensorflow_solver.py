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
    strides, padding = arguments["strides"], arguments["padding"]
    nonnegative = arguments["nonnegative"]
    size = images.shape[1:3]
    if None in size:
        size = tf.unstack(tf.shape(images)[1:3])

    @tf.custom_gradient
    def solve(images, kernel, threshold, *shrinkage):
        step_kernel = kernel * step_size
        code = _proximal(
            analysis(images, step_kernel, strides, padding),
            None,
            threshold,
            *shrinkage,
            nonnegative=nonnegative,
        )
        codes, points, residuals = [code], [], []
        previous = None
        for momentum in momenta:
            point = code
            if momentum and previous is not None:
                point = _extrapolation(code, previous, momentum)
            residual = images - synthesis(point, kernel, size, strides, padding)
            previous = code
            code = _proximal(
                analysis(residual, step_kernel, strides, padding),
                point,
                threshold,
                *shrinkage,
                nonnegative=nonnegative,
            )
            codes.append(code)
            points.append(point)
            residuals.append(residual)

        def gradient(upstream):
            return _gradient(
                upstream,
                (images, kernel, threshold, *shrinkage),
                (codes, points, residuals),
                (step_size, momenta),
                (size, strides, padding),
            )

        return code, gradient

    factors = [] if shrinkage is None else [shrinkage]
    return solve(images, kernel, threshold, *factors)


@fusable
def _extrapolation(code, previous, momentum):
    return code + momentum * (code - previous)


@fusable
def _proximal(update, point, threshold, *shrinkage, nonnegative):
    """The proximal map at `point + update`."""
    values = update if point is None else point + update
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


@fusable
def _active(upstream, code):
    """Gradient at the argument of the proximal map whose result is `code`."""
    zero = tf.zeros((), code.dtype)
    return tf.where(tf.not_equal(code, 0), upstream, zero)


@fusable
def _previous(active, blurred, later, code, momentum):
    """Gradients at the two codes that a point was extrapolated from.

    Returns:
        The gradient at the argument of the proximal map of `code`, the later
        one, to which other iterations gave `later`, and that at the earlier
        one, `None` without momentum.
    """
    by_point = active - blurred
    by_code, by_earlier = by_point, None
    if momentum:
        by_code = (1 + momentum) * by_point
        by_earlier = -momentum * by_point
    if later is not None:
        by_code = by_code + later
    return tf.where(tf.not_equal(code, 0), by_code, 0), by_earlier


def _gradient(upstream, inputs, states, steps, geometry):
    images, kernel, threshold, *shrinkage = inputs
    codes, points, residuals = states
    step_size, momenta = steps
    size, strides, padding = geometry
    step_kernel = kernel * step_size
    active, later = _active(upstream, codes[-1]), None
    by_images, by_threshold, by_shrinkage = 0.0, 0.0, 0.0
    by_kernel, by_step_kernel = [], []
    for index in range(len(codes) - 1, -1, -1):
        code = codes[index]
        by_threshold -= unbroadcast(active * tf.sign(code), threshold)
        for factor in shrinkage:
            values = (code + threshold * tf.sign(code)) / factor
            by_shrinkage += unbroadcast(active * values, factor)
            active = active * factor
        image = synthesis(active, step_kernel, size, strides, padding)
        by_images += image
        if index == 0:
            by_step_kernel.append((images, active))
            break
        by_step_kernel.append((residuals[index - 1], active))
        by_kernel.append((image, points[index - 1]))
        active, later = _previous(
            active,
            analysis(image, kernel, strides, padding),
            later,
            codes[index - 1],
            momenta[index - 1] if index > 1 else 0.0,
        )

    def total(pairs):
        return sum(
            filter_gradient(image, code, kernel.shape, strides, padding)
            for image, code in pairs
        )

    by_kernel = step_size * total(by_step_kernel) - total(by_kernel)
    return (
        by_images,
        by_kernel,
        by_threshold,
        *[by_shrinkage for _ in shrinkage],
    )
