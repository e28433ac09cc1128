"""Which path an operation takes on TensorFlow, when, and why.

Every choice of TensorFlow's own is made here. The limits were measured on
CPUs, with oneDNN. The portable forms have one choice of theirs, a matrix
product for images of one atom's size.
"""

import contextlib
import contextvars
import functools
import math

import keras
import tensorflow as tf

from keras_csc.ops import portable
from keras_csc.ops.sizes import is_one_patch
from keras_csc.ops.tensorflow.synthesis import overlap_add
from keras_csc.ops.tensorflow.synthesis import subpixel_synthesis

# oneDNN vectorises transposed convolutions over the channels of the image,
# which leaves most of the vector idle where there are one or three. With more
# channels than this, they are at least as fast as what replaces them.
FEW_CHANNELS = 4
# Up to as many positions of bfloat16 codes, oneDNN's filter gradient is slower
# than a convolution by the codes.
FEW_POSITIONS = 32
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
    """`convolution.synthesis`, by one of four forms.

    A matrix product for images of one atom's size. For few channels on a CPU
    overlap-add, where the stride is 1, and the sub-pixel convolution within
    `fusion`, for other strides and known sizes. Else the transposed
    convolution.
    """
    if is_one_patch(image_size, kernel.shape[:2], padding):
        return portable.synthesis(codes, kernel, image_size, strides, padding)
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
    """`convolution.filter_gradient`, by one of three forms.

    A matrix product for images of one atom's size, the portable convolution
    for few positions of bfloat16 codes, else TensorFlow's own.
    """
    one_patch = is_one_patch(images.shape[1:3], kernel_shape[:2], padding)
    if one_patch or _has_few_positions(codes):
        return portable.filter_gradient(
            images, codes, kernel_shape, strides, padding
        )
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


def _has_few_positions(codes):
    """Whether oneDNN's filter gradient would be the slower one."""
    size = codes.shape[1:3]
    return (
        keras.backend.standardize_dtype(codes.dtype) == "bfloat16"
        and None not in size
        and math.prod(size) <= FEW_POSITIONS
    )


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
