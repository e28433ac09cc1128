"""Sizes of images and of their codes, and the zeros around an image."""


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


def is_one_patch(image_size, kernel_size, padding):
    """Whether an image has the size of an atom, and codes of one position.

    The operators are then matrix products.

    Args:
        image_size: `(height, width)`; `False` where one is no int.
        kernel_size: `(height, width)` of the atoms.
        padding: `"same"` or `"valid"`.
    """
    return padding == "valid" and all(
        isinstance(n, int) and n == k for n, k in zip(image_size, kernel_size)
    )
