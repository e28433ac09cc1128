"""The operations as TensorFlow computes them fastest.

The functions are those of `ops.portable`, and have its results. Every choice
of TensorFlow's own is made here. The limits were measured on CPUs, with
oneDNN.
"""

import contextlib
import contextvars
import functools
import math

import tensorflow as tf
from keras import ops

from keras_csc.ops import portable

# oneDNN vectorises transposed convolutions over the channels of the image,
# which leaves most of the vector idle where there are one or three. With more
# channels than this, they are at least as fast as what replaces them.
FEW_CHANNELS = 4
# Below as many elements, what one pass over memory saves is not worth a
# compilation.
LEAST_SIZE = 2**18

_fusion = contextvars.ContextVar("fusion", default=False)


@contextlib.contextmanager
def fusion():
    """Within the context, the paths of training are taken.

    They are XLA for `fusable` functions, the sub-pixel synthesis and the Gram
    kernel. The train step enters it, and so can who solves programs. A
    SavedModel is traced outside of it: with compiled functions it would need
    XLA wherever it is served.
    """
    token = _fusion.set(True)
    try:
        yield
    finally:
        _fusion.reset(token)


def analysis(images, kernel, strides, padding):
    """`convolution.analysis`, with a gradient by `synthesis`, a faster one."""
    size = images.shape[1:3]
    if not _prefers_subpixel(kernel, size, strides):
        return portable.analysis(images, kernel, strides, padding)

    @tf.custom_gradient
    def analyze(images, kernel):
        def gradient(upstream):
            return (
                synthesis(upstream, kernel, size, strides, padding),
                filter_gradient(
                    images, upstream, kernel.shape, strides, padding
                ),
            )

        return portable.analysis(images, kernel, strides, padding), gradient

    return analyze(images, tf.convert_to_tensor(kernel))


def synthesis(codes, kernel, image_size, strides, padding):
    """`convolution.synthesis`, by one of three forms.

    For few channels on a CPU overlap-add, where the stride is 1, and the
    sub-pixel convolution within `fusion`, for other strides and known sizes.
    Else the transposed convolution.
    """
    codes = tf.convert_to_tensor(codes)
    at = image_size, strides, padding
    if strides == 1 and _has_few_channels(kernel) and codes.dtype.size >= 4:
        return _synthesis_by(overlap_add, codes, kernel, *at)
    if _prefers_subpixel(kernel, (*image_size, *codes.shape[1:3]), strides):
        return _synthesis_by(subpixel_synthesis, codes, kernel, *at)
    batch = codes.shape[0] or tf.shape(codes)[0]
    return tf.nn.conv2d_transpose(
        codes,
        kernel,
        output_shape=(batch, *image_size, kernel.shape[2]),
        strides=strides,
        padding=padding.upper(),
    )


def filter_gradient(images, codes, kernel_shape, strides, padding):
    """`portable.filter_gradient`, by TensorFlow's own."""
    return tf.raw_ops.Conv2DBackpropFilter(
        input=images,
        filter_sizes=kernel_shape,
        out_backprop=codes,
        strides=[1, strides, strides, 1],
        padding=padding.upper(),
    )


@functools.cache
def fusable(function):
    """Returns an element-wise function that is compiled where it pays.

    That is within `fusion`, on large tensors of known shape: then it is one
    pass over memory.

    Args:
        function: function of tensors, the first of which is the largest, and
            of Python values.
    """
    compiled = tf.function(function, jit_compile=True, autograph=False)

    @functools.wraps(function)
    def call(*arguments, **options):
        chosen = compiled if _pays_off(arguments[0].shape) else function
        return chosen(*arguments, **options)

    return call


@functools.cache
def solving(function):
    """Returns a function that is traced, on the paths of `fusion`.

    Once for every shape of its tensors and every value of its other
    arguments: numbers that differ from call to call are to be tensors.
    """

    @functools.wraps(function)
    def call(*arguments, **options):
        with fusion():
            return function(*arguments, **options)

    return tf.function(call, autograph=False)


def trains():
    """Whether the paths of training are taken, as within `fusion`."""
    return _fusion.get()


# NaN where a matrix has no factor, for the caller to see: Keras's form raises.
cholesky = tf.linalg.cholesky


def _prefers_subpixel(kernel, sizes, strides):
    """Whether oneDNN's transposed convolution would be the slower one."""
    return (
        _fusion.get()
        and strides > 1
        and _has_few_channels(kernel)
        and all(isinstance(n, int) for n in sizes)
    )


def _has_few_channels(kernel):
    """Whether images have so few that oneDNN is slow to synthesise them."""
    few = kernel.shape[2] <= FEW_CHANNELS
    return few and not tf.config.list_physical_devices("GPU")


def _pays_off(shape):
    """Whether a first tensor of that shape is worth a compilation."""
    return (
        _fusion.get()
        and shape.is_fully_defined()
        and math.prod(shape) >= LEAST_SIZE
    )


def _synthesis_by(form, codes, kernel, image_size, strides, padding):
    """A form of synthesis, with the gradient of one."""

    @tf.custom_gradient
    def synthesize(codes, kernel):
        def gradient(upstream):
            return (
                analysis(upstream, kernel, strides, padding),
                filter_gradient(
                    upstream, codes, kernel.shape, strides, padding
                ),
            )

        return form(codes, kernel, image_size, strides, padding), gradient

    return synthesize(codes, tf.convert_to_tensor(kernel))


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
    batch, *code_size = ops.shape(codes)[:3]
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
    phases = _phases(kernel, strides)
    around = [[n - 1, n - 1] for n in phases.shape[:2]]
    images = tf.nn.conv2d(codes, phases, 1, [[0, 0], *around, [0, 0]])
    images = tf.nn.depth_to_space(images, strides)
    return portable.fit(images, image_size, kernel.shape[:2], strides, padding)


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
