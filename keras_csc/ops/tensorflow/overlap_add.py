"""Synthesis with stride 1 as a matrix product and sums of shifted images."""

import tensorflow as tf


def overlap_add(codes, kernel, size, padding):
    """`synthesis` with stride 1, for images of few channels.

    All patches `W_f z_f[i, j]` are made by one matrix product, patch positions
    last, so that adding them up reads whole images.

    Args:
        codes: tensor `(batch, code_height, code_width, filters)`.
        kernel: tensor `(k, k, channels, filters)`.
        size: `(height, width)` of the images, ints or scalar tensors.
        padding: `"same"` or `"valid"`.

    Returns:
        Tensor `(batch, height, width, channels)`.
    """
    height, width, channels, filters = kernel.shape
    batch, *code_size = _shape(codes)[:3]
    matrix = tf.reshape(
        tf.transpose(kernel, (2, 0, 1, 3)), (channels * height * width, filters)
    )
    pixels = tf.reshape(codes, (-1, filters))
    patches = tf.reshape(
        tf.matmul(matrix, pixels, transpose_b=True),
        (channels, height, width, batch, *code_size),
    )
    images = _shifted_sum(patches, 2, 5)
    images = _shifted_sum(images, 1, 3)
    top, left = (
        (k - 1) // 2 if padding == "same" else 0 for k in (height, width)
    )
    images = images[..., top : top + size[0], left : left + size[1]]
    return tf.transpose(images, (1, 2, 3, 0))


def _shifted_sum(values, offsets, positions):
    """Sums over an axis of offsets, each slice shifted along another axis."""
    slices = tf.unstack(values, axis=offsets)
    count, axis = len(slices), positions - 1
    rank = slices[0].shape.rank
    return tf.add_n(
        [
            tf.pad(
                part,
                [
                    (i, count - 1 - i) if at == axis else (0, 0)
                    for at in range(rank)
                ],
            )
            for i, part in enumerate(slices)
        ]
    )


def _shape(tensor):
    dynamic = tf.shape(tensor)
    return [
        dynamic[axis] if size is None else size
        for axis, size in enumerate(tensor.shape)
    ]
