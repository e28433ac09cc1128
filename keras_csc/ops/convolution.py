"""The two convolution operators of sparse coding, exact adjoints."""

import keras
from keras import ops


def analysis_size(size, kernel_size, strides, padding):
    """Height or width of the codes of an image of height or width `size`."""
    if size is None:
        return None
    if padding == "same":
        return -(-size // strides)
    return (size - kernel_size) // strides + 1


def synthesis_size(size, kernel_size, strides, padding):
    """The usual height or width of the image of codes of that `size`.

    Several image sizes have codes of the same size; this is the largest one
    for `"same"` and the smallest one for `"valid"` padding.
    """
    if size is None:
        return None
    if padding == "same":
        return size * strides
    return (size - 1) * strides + kernel_size


def analysis(images, kernel, strides=1, padding="same"):
    """Applies the analysis operator `Aᵀ`: a convolution with `kernel`.

    `(Aᵀx)[b, i, j, f] = Σ_{u, v, c} x[b, s·i + u, s·j + v, c] · W[u, v, c, f]`
    with `x` padded by zeros as `padding` says. It is the exact adjoint of
    `synthesis` for every image size, kernel size and stride.

    Args:
        images: tensor `(batch, height, width, channels)`.
        kernel: tensor `(k, k, channels, filters)`, one atom per filter.
        strides: int, the same in both directions.
        padding: `"same"` or `"valid"`.

    Returns:
        Tensor `(batch, code_height, code_width, filters)`.
    """
    if padding == "valid" and images.shape[1:3] == kernel.shape[:2]:
        return _dense_analysis(images, kernel)
    return ops.conv(
        images,
        kernel,
        strides=strides,
        padding=padding,
        data_format="channels_last",
    )


def synthesis(codes, kernel, image_size=None, strides=1, padding="same"):
    """Applies the synthesis operator `A`: `x = Σ_f z_f * W_f`.

    The transposed convolution with the same `kernel` as `analysis`, of which
    it is the exact adjoint: `<A z, x> = <z, Aᵀx>`.

    Args:
        codes: tensor `(batch, code_height, code_width, filters)`.
        kernel: tensor `(k, k, channels, filters)`, one atom per filter.
        image_size: `(height, width)` of the result, ints or scalar tensors
            (tensors on the TensorFlow backend only). By default
            `synthesis_size` of the codes.
        strides: int, the same in both directions.
        padding: `"same"` or `"valid"`.

    Returns:
        Tensor `(batch, height, width, channels)`.
    """
    if image_size is None:
        shape = ops.shape(codes)
        image_size = [
            synthesis_size(n, k, strides, padding)
            for n, k in zip(shape[1:3], kernel.shape[:2])
        ]
    if padding == "valid" and _is_size(image_size, kernel.shape[:2]):
        return _dense_synthesis(codes, kernel)
    if keras.backend.backend() == "tensorflow":
        return _tensorflow_synthesis(
            codes, kernel, image_size, strides, padding
        )
    images = ops.conv_transpose(
        codes,
        kernel,
        strides=strides,
        padding="valid",
        data_format="channels_last",
    )
    for axis, (size, k) in enumerate(
        zip(image_size, kernel.shape[:2]), start=1
    ):
        images = _fit(images, axis, size, k, strides, padding)
    return images


def _is_size(image_size, size):
    return all(isinstance(n, int) and n == k for n, k in zip(image_size, size))


def _dense_analysis(images, kernel):
    """Analysis of images of the size of the atoms: a matrix product."""
    filters = kernel.shape[-1]
    matrix = ops.reshape(kernel, (-1, filters))
    codes = ops.matmul(ops.reshape(images, (-1, matrix.shape[0])), matrix)
    return ops.reshape(codes, (-1, 1, 1, filters))


def _dense_synthesis(codes, kernel):
    filters = kernel.shape[-1]
    matrix = ops.transpose(ops.reshape(kernel, (-1, filters)))
    images = ops.matmul(ops.reshape(codes, (-1, filters)), matrix)
    return ops.reshape(images, (-1, *kernel.shape[:3]))


def _tensorflow_synthesis(codes, kernel, image_size, strides, padding):
    import tensorflow as tf

    from keras_csc.ops import fusion
    from keras_csc.ops import subpixel

    codes = tf.convert_to_tensor(codes)
    if (
        fusion.is_enabled()
        and strides > 1
        and kernel.shape[2] <= subpixel.MOST_CHANNELS
        and all(isinstance(n, int) for n in (*image_size, *codes.shape[1:3]))
        and not tf.config.list_physical_devices("GPU")
    ):
        return subpixel.subpixel_synthesis(
            codes, kernel, image_size, strides, padding
        )
    batch = codes.shape[0] or tf.shape(codes)[0]
    return tf.nn.conv2d_transpose(
        codes,
        kernel,
        output_shape=(batch, *image_size, kernel.shape[2]),
        strides=strides,
        padding=padding.upper(),
    )


def padding_before(size, kernel_size, strides, padding):
    """Zeros before the first pixel of an axis, as TensorFlow pads."""
    if padding == "valid":
        return 0
    steps = analysis_size(size, kernel_size, strides, padding)
    return max((steps - 1) * strides + kernel_size - size, 0) // 2


def _fit(images, axis, size, kernel_size, strides, padding):
    """Crops or pads one axis of a "valid" synthesis to the image's size."""
    before = padding_before(size, kernel_size, strides, padding)
    missing = before + size - images.shape[axis]
    if missing > 0:
        widths = [[0, 0]] * axis + [[0, missing]] + [[0, 0]] * (3 - axis)
        images = ops.pad(images, widths)
    index = (slice(None),) * axis + (slice(before, before + size),)
    return images[index]
