"""Synthesis with a stride as a convolution of the codes, on TensorFlow."""

import tensorflow as tf

from keras_csc.ops.convolution import analysis
from keras_csc.ops.convolution import padding_before
from keras_csc.ops.filter_gradient import filter_gradient

# With more channels, the transposed convolution is faster (measured).
MOST_CHANNELS = 4


def subpixel_synthesis(codes, kernel, image_size, strides, padding):
    """`synthesis` for images of few channels.

    oneDNN vectorises transposed convolutions over the channels of the image,
    which leaves most of the vector idle where there are one or three. This is
    a convolution of the codes with `strides²` times as many, those of the
    pixels that a code's position stands for.

    Args:
        codes: tensor `(batch, code_height, code_width, filters)`.
        kernel: tensor `(k, k, channels, filters)`.
        image_size: `(height, width)`, ints.
        strides: int.
        padding: `"same"` or `"valid"`.

    Returns:
        Tensor `(batch, height, width, channels)`.

    Reference:
        Shi et al., Real-time single image and video super-resolution using an
        efficient sub-pixel convolutional neural network, CVPR 2016.
    """

    @tf.custom_gradient
    def synthesize(codes, kernel):
        def gradient(upstream):
            return (
                analysis(upstream, kernel, strides, padding),
                filter_gradient(
                    upstream, codes, kernel.shape, strides, padding
                ),
            )

        return _forward(codes, kernel, image_size, strides, padding), gradient

    return synthesize(codes, tf.convert_to_tensor(kernel))


def _forward(codes, kernel, image_size, strides, padding):
    *size, channels, filters = kernel.shape
    taps = [-(-k // strides) for k in size]
    margins = [[0, n * strides - k] for n, k in zip(taps, size)]
    phases = tf.reshape(
        tf.pad(kernel, [*margins, [0, 0], [0, 0]]),
        (taps[0], strides, taps[1], strides, channels, filters),
    )
    phases = tf.transpose(tf.reverse(phases, (0, 2)), (0, 2, 5, 1, 3, 4))
    phases = tf.reshape(phases, (*taps, filters, strides**2 * channels))
    around = [[n - 1, n - 1] for n in taps]
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
