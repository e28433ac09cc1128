"""The gradient of synthesis with respect to the dictionary."""

import math

import keras
from keras import ops

from keras_csc.ops.convolution import analysis_size
from keras_csc.ops.convolution import padding_before


def filter_gradient(images, codes, kernel_shape, strides, padding):
    """Adjoint of `W → A(W) z` at the codes `z`, applied to images.

    `G[u, v, c, f] = Σ_{b, i, j} x[b, s·i + u, s·j + v, c] · z[b, i, j, f]`,
    with `x` padded as `padding` says.

    Args:
        images: tensor `x` `(batch, height, width, channels)`.
        codes: tensor `z` `(batch, code_height, code_width, filters)`.
        kernel_shape: `(k, k, channels, filters)`.
        strides: int.
        padding: `"same"` or `"valid"`.

    Returns:
        Tensor of `kernel_shape`.
    """
    if padding == "valid" and images.shape[1:3] == kernel_shape[:2]:
        filters = kernel_shape[-1]
        images = ops.reshape(images, (-1, math.prod(kernel_shape[:3])))
        codes = ops.reshape(codes, (-1, filters))
        return ops.reshape(
            ops.matmul(ops.transpose(images), codes), kernel_shape
        )
    if keras.backend.backend() == "tensorflow" and not _is_small(codes):
        return _tensorflow(images, codes, kernel_shape, strides, padding)
    for axis, (n, k) in enumerate(
        zip(images.shape[1:3], kernel_shape[:2]), start=1
    ):
        images = _windowed(images, axis, n, k, strides, padding)
    # A convolution of images by codes: the examples are its channels, the
    # channels its examples, and the strides a dilation of the codes.
    products = ops.conv(
        ops.transpose(images, (3, 1, 2, 0)),
        ops.transpose(codes, (1, 2, 0, 3)),
        padding="valid",
        data_format="channels_last",
        dilation_rate=strides,
    )
    return ops.transpose(products, (1, 2, 0, 3))


def _is_small(codes):
    """Whether oneDNN is slower than a convolution by the codes (measured)."""
    size = codes.shape[1:3]
    return (
        keras.backend.standardize_dtype(codes.dtype) == "bfloat16"
        and None not in size
        and math.prod(size) <= 32
    )


def _tensorflow(images, codes, kernel_shape, strides, padding):
    import tensorflow as tf

    return tf.raw_ops.Conv2DBackpropFilter(
        input=images,
        filter_sizes=kernel_shape,
        out_backprop=codes,
        strides=[1, strides, strides, 1],
        padding=padding.upper(),
    )


def _windowed(images, axis, size, kernel_size, strides, padding):
    """Pads or crops an axis to what the windows of the atoms cover."""
    steps = analysis_size(size, kernel_size, strides, padding)
    covered = (steps - 1) * strides + kernel_size
    before = padding_before(size, kernel_size, strides, padding)
    after = max(covered - size - before, 0)
    widths = [(0, 0)] * axis + [(before, after)] + [(0, 0)] * (3 - axis)
    images = ops.pad(images, widths)
    return images[(slice(None),) * axis + (slice(0, covered),)]
