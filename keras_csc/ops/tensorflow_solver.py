"""The sparse-coding solver on TensorFlow: the same steps, a faster gradient.

The gradient is that of the unrolled iterations, written out: the proximal
maps are one masking each, and the gradient of the dictionary, which every
iteration contributes to twice, is one filter gradient for all of them.
"""

import tensorflow as tf

from keras_csc.ops.broadcasting import unbroadcast
from keras_csc.ops.convolution import analysis
from keras_csc.ops.convolution import synthesis


def soft_threshold(values, threshold, nonnegative):
    """`ops.soft_threshold` in as few passes over the codes as there can be."""
    if nonnegative:
        return tf.nn.relu(values - threshold)
    if threshold.shape.rank == 0:
        clipped = tf.raw_ops.ClipByValue(
            t=values, clip_value_min=-threshold, clip_value_max=threshold
        )
    else:
        clipped = tf.clip_by_value(values, -threshold, threshold)
    return values - clipped


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
        def prox(values):
            for factor in shrinkage:
                values = values * factor
            return soft_threshold(values, threshold, nonnegative)

        step_kernel = kernel * step_size
        code = prox(analysis(images, step_kernel, strides, padding))
        codes, points, residuals = [code], [], []
        previous = None
        for momentum in momenta:
            point = code
            if momentum and previous is not None:
                point = code + momentum * (code - previous)
            residual = images - synthesis(point, kernel, size, strides, padding)
            previous = code
            code = prox(
                point + analysis(residual, step_kernel, strides, padding)
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


def _gradient(upstream, inputs, states, steps, geometry):
    images, kernel, threshold, *shrinkage = inputs
    codes, points, residuals = states
    step_size, momenta = steps
    size, strides, padding = geometry
    step_kernel = kernel * step_size
    by_code = [None] * len(codes)
    by_code[-1] = upstream
    by_images, by_threshold = 0.0, 0.0
    by_shrinkage = [0.0] * len(shrinkage)
    pairs = []
    for index in range(len(codes) - 1, -1, -1):
        code = codes[index]
        active = tf.where(
            tf.not_equal(code, 0), by_code[index], tf.zeros((), code.dtype)
        )
        by_threshold -= unbroadcast(active * tf.sign(code), threshold)
        for factor in shrinkage:
            values = (code + threshold * tf.sign(code)) / factor
            by_shrinkage[0] += unbroadcast(active * values, factor)
            active = active * factor
        image = synthesis(active, step_kernel, size, strides, padding)
        by_images += image
        if index == 0:
            pairs.append((images * step_size, active))
            break
        pairs.append((residuals[index - 1] * step_size, active))
        pairs.append((-image, points[index - 1]))
        by_point = active - analysis(image, kernel, strides, padding)
        momentum = momenta[index - 1] if index > 1 else 0.0
        if momentum:
            by_code[index - 2] = _add(by_code[index - 2], -momentum * by_point)
            by_point *= 1 + momentum
        by_code[index - 1] = _add(by_code[index - 1], by_point)
    by_kernel = filter_gradient(
        tf.concat([image for image, _ in pairs], 0),
        tf.concat([code for _, code in pairs], 0),
        kernel.shape,
        strides,
        padding,
    )
    return by_images, by_kernel, by_threshold, *by_shrinkage


def _add(left, right):
    return right if left is None else left + right


def filter_gradient(images, codes, kernel_shape, strides, padding):
    """`ops.filter_gradient` by the fastest operation for the sizes."""
    if images.shape[1:3] == kernel_shape[:2] and padding == "valid":
        filters = kernel_shape[-1]
        matrix = tf.matmul(
            tf.reshape(images, (-1, kernel_shape.num_elements() // filters)),
            tf.reshape(codes, (-1, filters)),
            transpose_a=True,
        )
        return tf.reshape(matrix, kernel_shape)
    if _prefers_products(codes, kernel_shape, strides, padding):
        return _filter_gradient_by_products(
            images, codes, kernel_shape, strides
        )
    return tf.raw_ops.Conv2DBackpropFilter(
        input=images,
        filter_sizes=kernel_shape,
        out_backprop=codes,
        strides=[1, strides, strides, 1],
        padding=padding.upper(),
    )


def _prefers_products(codes, kernel_shape, strides, padding):
    """Whether matrix products beat the convolution library (measured)."""
    height, width = codes.shape[1:3]
    return (
        codes.dtype == tf.bfloat16
        and padding == "same"
        and None not in (height, width)
        and height * width <= 32
        and kernel_shape[0] == kernel_shape[1]
        and kernel_shape[0] % strides == 0
    )


def _filter_gradient_by_products(images, codes, kernel_shape, strides):
    k, _, channels, filters = kernel_shape
    height, width = codes.shape[1:3]
    pads = [[0, 0]]
    for size, steps in zip(images.shape[1:3], (height, width)):
        total = max((steps - 1) * strides + k - size, 0)
        before = total // 2
        pads.append([before, (steps - 1) * strides + k - size - before])
    images = tf.pad(images, [*pads, [0, 0]])
    if strides > 1:
        images = tf.nn.space_to_depth(images, strides)
    matrix = tf.reshape(codes, (-1, filters))
    products = []
    steps = range(k // strides)
    for u in steps:
        for v in steps:
            window = images[:, u : u + height, v : v + width, :]
            window = tf.reshape(window, (-1, strides * strides * channels))
            products.append(tf.matmul(window, matrix, transpose_a=True))
    products = tf.reshape(
        tf.stack(products),
        (len(steps), len(steps), strides, strides, channels, filters),
    )
    products = tf.transpose(products, (0, 2, 1, 3, 4, 5))
    return tf.reshape(products, kernel_shape)
