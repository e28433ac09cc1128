"""Sizes of images and of their codes, and where an axis is padded."""

import numbers

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


def check_code_size(shape, kernel_shape, image_shape, strides, padding):
    """Raises `ValueError` if codes have not the shape of an image's codes.

    Only sizes that are known as numbers are looked at.
    """
    batch, *size = image_shape[:3]
    sizes = [
        analysis_size(n, k, strides, padding)
        if isinstance(n, numbers.Integral)
        else None
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
