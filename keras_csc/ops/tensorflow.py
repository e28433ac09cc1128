"""Operations as TensorFlow computes them fastest.

Other backends use other forms, with the same results. The choices were measured
on CPUs, with oneDNN.
"""

import functools

import tensorflow as tf

from keras_csc.ops.sizes import fit

# oneDNN vectorises transposed convolutions over the channels of the image,
# which leaves most of the vector idle where there are one or three. With more
# channels than this, they are at least as fast as what replaces them.
FEW_CHANNELS = 4


@functools.cache
def solving(function):
    """`tensors.solving`."""
    return tf.function(function, autograph=False)


@tf.custom_gradient
def half_logdet(matrices):
    """`coding_rate._half_logdet`, with NaN where a matrix has no factor.

    The gradient is half of the inverse. TensorFlow would differentiate the
    factorisation, at twice the time.
    """
    factor = tf.linalg.cholesky(matrices)

    def gradient(upstream):
        identity = tf.eye(
            matrices.shape[-1],
            batch_shape=tf.shape(matrices)[:-2],
            dtype=matrices.dtype,
        )
        inverse = tf.linalg.cholesky_solve(factor, identity)
        return 0.5 * upstream[..., None, None] * inverse

    return tf.reduce_sum(tf.math.log(tf.linalg.diag_part(factor)), -1), gradient


def analysis(images, kernel, strides, padding):
    """`convolution.analysis`, a convolution.

    Its gradient at images of few channels is the `synthesis` of these.
    """
    images, kernel = map(tf.convert_to_tensor, (images, kernel))
    size, at = images.shape[1:3], (strides, padding)

    def form(images, kernel):
        def gradient(upstream):
            return (
                synthesis(upstream, kernel, size, *at),
                filter_gradient(images, upstream, kernel.shape, *at),
            )

        return tf.nn.conv2d(images, kernel, strides, padding.upper()), gradient

    if _is_slow(kernel, size):
        return tf.custom_gradient(form)(images, kernel)
    return form(images, kernel)[0]


def synthesis(codes, kernel, image_size, strides, padding):
    """`convolution.synthesis`, for sizes that are not known, too.

    It is a transposed convolution. The exception is images of few channels and
    known size on a CPU, which are drawn by sub-pixels or overlap-add. Their
    gradients are an `analysis` and a `filter_gradient`: TensorFlow would
    differentiate the forms into transposed convolutions.
    """
    codes, kernel = map(tf.convert_to_tensor, (codes, kernel))
    at = strides, padding

    def form(codes, kernel):
        def gradient(upstream):
            return (
                analysis(upstream, kernel, *at),
                filter_gradient(upstream, codes, kernel.shape, *at),
            )

        draw = subpixel_synthesis if strides > 1 else overlap_add
        images = draw(codes, kernel, strides)
        size = kernel.shape[:2]
        return fit(images, image_size, size, *at), gradient

    if _is_slow(kernel, (*codes.shape[1:3], *image_size)):
        return tf.custom_gradient(form)(codes, kernel)
    batch = codes.shape[0] or tf.shape(codes)[0]
    return tf.nn.conv2d_transpose(
        codes,
        kernel,
        output_shape=(batch, *image_size, kernel.shape[2]),
        strides=strides,
        padding=padding.upper(),
    )


def filter_gradient(images, codes, kernel_shape, strides, padding):
    """Adjoint of `W → A(W) z` at the codes `z`, applied to images `x`.

    `G[u, v, c, f] = Σ_{b, i, j} x[b, s·i + u, s·j + v, c] · z[b, i, j, f]`,
    with `x` padded as `padding` says.
    """
    return tf.raw_ops.Conv2DBackpropFilter(
        input=images,
        filter_sizes=kernel_shape,
        out_backprop=codes,
        strides=[1, strides, strides, 1],
        padding=padding.upper(),
    )


def _is_slow(kernel, sizes):
    """Whether oneDNN's transposed convolution is not the fastest form."""
    return (
        kernel.shape[2] <= FEW_CHANNELS
        and 0 not in kernel.shape
        and all(isinstance(n, int) for n in sizes)
        and not tf.config.list_physical_devices("GPU")
    )


def subpixel_synthesis(codes, kernel, strides):
    """ "Valid" synthesis with strides, for images of few channels.

    The codes are convolved to `strides²` times as many channels as the images
    have. They are the pixels that a code's position stands for.

    Reference:
        Shi et al., Real-time single image and video super-resolution using an
        efficient sub-pixel convolutional neural network, CVPR 2016.
    """
    phases = _phases(kernel, strides)
    around = [[n - 1, n - 1] for n in phases.shape[:2]]
    images = tf.nn.conv2d(codes, phases, 1, [[0, 0], *around, [0, 0]])
    return tf.nn.depth_to_space(images, strides)


def _phases(kernel, strides):
    """A kernel from codes to pixels, `(⌈k/s⌉, ⌈k/s⌉, filters, s² channels)`."""
    *size, channels, filters = kernel.shape
    taps = [-(-k // strides) for k in size]
    margins = [[0, n * strides - k] for n, k in zip(taps, size)]
    phases = tf.reshape(
        tf.pad(kernel, [*margins, [0, 0], [0, 0]]),
        (taps[0], strides, taps[1], strides, channels, filters),
    )
    phases = tf.transpose(tf.reverse(phases, (0, 2)), (0, 2, 5, 1, 3, 4))
    return tf.reshape(phases, (*taps, filters, strides**2 * channels))


def overlap_add(codes, kernel, _strides):
    """ "Valid" synthesis with stride 1, for images of few channels.

    One product makes the patch that every place draws. Then the patches' rows
    and columns are summed at their places.
    """
    patches = tf.einsum("uvcf,bijf->uvcbij", kernel, codes)
    columns = _shifted_sum(tf.unstack(patches, axis=1), 4)
    images = _shifted_sum(tf.unstack(columns), 2)
    return tf.transpose(images, (1, 2, 3, 0))


def _shifted_sum(slices, axis):
    """Sum of slices, each shifted by its number along an axis."""
    last, around = len(slices) - 1, [(0, 0)] * slices[0].shape.rank
    shifted = []
    for number, part in enumerate(slices):
        around[axis] = (number, last - number)
        shifted.append(tf.pad(part, around))
    return tf.add_n(shifted)
