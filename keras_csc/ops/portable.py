"""Sizes, and the operations written with `keras.ops`, for every backend.

`ops.tensorflow` has operations of the same names; `convolution.forms` says
which are taken.
"""

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


def padding_before(size, kernel_size, strides, padding):
    """Zeros before the first pixel of an axis, as TensorFlow pads."""
    if padding == "valid":
        return 0
    steps = analysis_size(size, kernel_size, strides, padding)
    return max((steps - 1) * strides + kernel_size - size, 0) // 2


def analysis(images, kernel, strides, padding):
    """`convolution.analysis`, by a convolution."""
    return ops.conv(
        images,
        kernel,
        strides=strides,
        padding=padding,
        data_format="channels_last",
    )


def synthesis(codes, kernel, image_size, strides, padding):
    """`convolution.synthesis`, cropped from a "valid" one."""
    images = ops.conv_transpose(
        codes,
        kernel,
        strides=strides,
        padding="valid",
        data_format="channels_last",
    )
    return fit(images, image_size, kernel.shape[:2], strides, padding)


def filter_gradient(images, codes, kernel_shape, strides, padding):
    """Adjoint of `W → A(W) z` at the codes `z`, applied to images.

    `G[u, v, c, f] = Σ_{b, i, j} x[b, s·i + u, s·j + v, c] · z[b, i, j, f]`,
    with `x` padded as `padding` says. It is a convolution of images by codes:
    the examples are its channels, the channels its examples, and the strides a
    dilation of the codes.

    Args:
        images: tensor `x` `(batch, height, width, channels)`.
        codes: tensor `z` `(batch, code_height, code_width, filters)`.
        kernel_shape: `(k, k, channels, filters)`.
        strides: int, the same in both directions.
        padding: `"same"` or `"valid"`.

    Returns:
        Tensor of `kernel_shape`.
    """
    for axis, (n, k) in enumerate(
        zip(images.shape[1:3], kernel_shape[:2]), start=1
    ):
        images = _windowed(images, axis, n, k, strides, padding)
    products = ops.conv(
        ops.transpose(images, (3, 1, 2, 0)),
        ops.transpose(codes, (1, 2, 0, 3)),
        padding="valid",
        data_format="channels_last",
        dilation_rate=strides,
    )
    return ops.transpose(products, (1, 2, 0, 3))


def fusable(function):
    """Marks an element-wise function that TensorFlow may compile."""
    return function


def solving(function):
    """Marks a function of long loops, which TensorFlow traces."""
    return function


def trains():
    """Whether the forms for the large batches of training are taken."""
    return True


cholesky = ops.cholesky


def fit(images, image_size, kernel_size, strides, padding):
    """Crops and pads a "valid" synthesis to the image's size."""
    (top, height), (left, width) = (
        (padding_before(n, k, strides, padding), n)
        for n, k in zip(image_size, kernel_size)
    )
    below, right = top + height, left + width
    missing = [
        [0, max(end - n, 0)]
        for end, n in zip((below, right), images.shape[1:3])
    ]
    if any(after for _, after in missing):
        images = ops.pad(images, [[0, 0], *missing, [0, 0]])
    return images[:, top:below, left:right]


def _windowed(images, axis, size, kernel_size, strides, padding):
    """Pads or crops an axis to what the windows of the atoms cover."""
    steps = analysis_size(size, kernel_size, strides, padding)
    covered = (steps - 1) * strides + kernel_size
    before = padding_before(size, kernel_size, strides, padding)
    after = max(covered - size - before, 0)
    widths = [(0, 0)] * axis + [(before, after)] + [(0, 0)] * (3 - axis)
    images = ops.pad(images, widths)
    return images[(slice(None),) * axis + (slice(0, covered),)]
