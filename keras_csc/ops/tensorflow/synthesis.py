"""Two forms of synthesis for images of few channels, by strides."""

import tensorflow as tf

from keras_csc.ops.sizes import padding_before


def overlap_add(codes, kernel, image_size, strides, padding):
    """`synthesis` with stride 1, for images of few channels.

    All patches `W_f z_f[i, j]` are made by one matrix product, patch positions
    last, so that adding them up reads whole images.

    Args:
        codes: tensor `(batch, code_height, code_width, filters)`.
        kernel: tensor `(k, k, channels, filters)`.
        image_size: `(height, width)`, ints or scalar tensors.
        strides: 1.
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
    images = images[..., top : top + image_size[0], left : left + image_size[1]]
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


def subpixel_synthesis(codes, kernel, image_size, strides, padding):
    """`synthesis` with strides, for images of few channels.

    A convolution of the codes with `strides²` times as many channels as the
    images have: those of the pixels that a code's position stands for.

    Args:
        codes: tensor `(batch, code_height, code_width, filters)`.
        kernel: tensor `(k, k, channels, filters)`.
        image_size: `(height, width)`, ints.
        strides: int, at least 2.
        padding: `"same"` or `"valid"`.

    Returns:
        Tensor `(batch, height, width, channels)`.

    Reference:
        Shi et al., Real-time single image and video super-resolution using an
        efficient sub-pixel convolutional neural network, CVPR 2016.
    """
    *size, channels, _ = kernel.shape
    phases = _phases(kernel, strides)
    around = [[n - 1, n - 1] for n in phases.shape[:2]]
    images = tf.nn.conv2d(codes, phases, 1, [[0, 0], *around, [0, 0]])
    images = tf.nn.depth_to_space(images, strides)
    starts = [
        padding_before(n, k, strides, padding) for n, k in zip(image_size, size)
    ]
    missing = [
        [0, max(start + n - have, 0)]
        for start, n, have in zip(starts, image_size, images.shape[1:3])
    ]
    if any(after for _, after in missing):
        images = tf.pad(images, [[0, 0], *missing, [0, 0]])
    (top, left), (height, width) = starts, image_size
    return images[:, top : top + height, left : left + width]


def _phases(kernel, strides):
    """The kernel from codes to the pixels of every phase, as a convolution's.

    Args:
        kernel: tensor `(k, k, channels, filters)`.
        strides: int `s`.

    Returns:
        Tensor `(⌈k/s⌉, ⌈k/s⌉, filters, s² channels)`.
    """
    *size, channels, filters = kernel.shape
    taps = [-(-k // strides) for k in size]
    margins = [[0, n * strides - k] for n, k in zip(taps, size)]
    phases = tf.reshape(
        tf.pad(kernel, [*margins, [0, 0], [0, 0]]),
        (taps[0], strides, taps[1], strides, channels, filters),
    )
    phases = tf.transpose(tf.reverse(phases, (0, 2)), (0, 2, 5, 1, 3, 4))
    return tf.reshape(phases, (*taps, filters, strides**2 * channels))
