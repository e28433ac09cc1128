"""The two convolution operators of sparse coding, exact adjoints."""

import keras
from keras import ops

from keras_csc.ops import portable
from keras_csc.ops.portable import analysis_size
from keras_csc.ops.portable import synthesis_size


def forms():
    """How operations are computed on the backend in use.

    Returns:
        The module `ops.tensorflow`, or on other backends `ops.portable`:
        functions of the same names, and the same results.
    """
    if keras.backend.backend() != "tensorflow":
        return portable
    from keras_csc.ops import tensorflow

    return tensorflow


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

    Raises:
        ValueError: for images with other channels than the atoms.
    """
    check_channels(images.shape, kernel.shape)
    if not _is_one_patch(images.shape[1:3], kernel.shape, padding):
        return forms().analysis(images, kernel, strides, padding)
    matrix = ops.reshape(kernel, (-1, kernel.shape[-1]))
    codes = ops.matmul(ops.reshape(images, (-1, matrix.shape[0])), matrix)
    return ops.reshape(codes, (-1, 1, 1, matrix.shape[1]))


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

    Raises:
        ValueError: for an `image_size` that has codes of another size.
    """
    if image_size is None:
        shape = ops.shape(codes)
        image_size = [
            synthesis_size(n, k, strides, padding)
            for n, k in zip(shape[1:3], kernel.shape[:2])
        ]
    shape = (None, *image_size)
    check_code_size(codes.shape, kernel.shape, shape, strides, padding)
    if not _is_one_patch(image_size, kernel.shape, padding):
        return forms().synthesis(codes, kernel, image_size, strides, padding)
    matrix = ops.reshape(kernel, (-1, kernel.shape[-1]))
    codes = ops.reshape(codes, (-1, matrix.shape[1]))
    images = ops.matmul(codes, ops.transpose(matrix))
    return ops.reshape(images, (-1, *kernel.shape[:3]))


def _is_one_patch(image_size, kernel_shape, padding):
    """Whether images have an atom's size, and the operators are products."""
    return padding == "valid" and all(
        isinstance(n, int) and n == k for n, k in zip(image_size, kernel_shape)
    )


def check_code_size(shape, kernel_shape, image_shape, strides, padding):
    """Raises `ValueError` if codes are not of the shape of an image's.

    Only sizes are looked at that are known as numbers.

    Args:
        shape: of the codes, `(batch, code_height, code_width, filters)`.
        kernel_shape: `(k, k, channels, filters)`.
        image_shape: `(batch, height, width)`, or more.
        strides: int.
        padding: `"same"` or `"valid"`.
    """
    batch, *size = image_shape[:3]
    sizes = [
        analysis_size(n, k, strides, padding) if isinstance(n, int) else None
        for n, k in zip(size, kernel_shape[:2])
    ]
    expected = (batch, *sizes, kernel_shape[-1])
    pairs = zip(shape, expected)
    if any(None not in pair and pair[0] != pair[1] for pair in pairs):
        raise ValueError(
            f"Codes of images of {tuple(size)} pixels, with strides of "
            f"{strides} and padding {padding!r}, must have the shape "
            f"{expected}. Received: {tuple(shape)}"
        )


def check_channels(shape, kernel_shape):
    """Raises `ValueError` if images have other channels than the atoms.

    Backends would take them for groups of channels.
    """
    if shape[-1] not in (None, kernel_shape[2]):
        raise ValueError(
            f"`images` must have the {kernel_shape[2]} channels of the atoms. "
            f"Received: images of shape {tuple(shape)}"
        )
