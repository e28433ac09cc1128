"""Lapped orthogonal transforms: orthonormal blocks without seams."""

import numpy as np
from keras import ops
from scipy.fft import dct

from keras_csc.ops.tensors import as_floats


def prefilter(images, block):
    """Mixes the pixels around the borders of blocks, before they are coded.

    `P` is orthonormal. Along either axis it maps the `block` pixels around
    every border between two blocks, half of them on each side, by `F`:

        V = J C₂ᵀ C₄ J,   F = ½ [1 J; J -1] [1 0; 0 V] [1 J; J -1]

    `C₂` and `C₄` are the cosine transforms II and IV of half a block, and `J`
    reverses. The pixels at the border of the image stay. Orthonormal atoms `D`
    of one block then draw as atoms `Pᵀ D`, twice as wide. These overlap and are
    still orthonormal. So a program has its solution in closed form, and images
    have no seams.

    Args:
        images: tensor `(batch, height, width, channels)`, of whole blocks.
        block: even int, side of a block in pixels.

    Returns:
        Tensor `P x` of the same shape and energy.

    Raises:
        ValueError: for images of other sizes, or an odd block.

    References:
        Malvar & Staelin, The LOT: transform coding without blocking effects,
        IEEE TASSP 1989; Tran, Liang & Tu, Lapped transform via time-domain
        pre- and post-filtering, IEEE TSP 2003, section III.
    """
    return _along_both_axes(images, _across_a_border(block), block)


def postfilter(signal, block):
    """Undoes `prefilter`: `Pᵀ s`, with its arguments, shapes and errors."""
    return _along_both_axes(signal, _across_a_border(block).T, block)


def _across_a_border(block):
    """`F`, a float64 matrix `(block, block)`."""
    half = block // 2
    unit, none = np.eye(half), np.zeros((half, half))
    reverse = unit[::-1]
    cosines = [dct(unit, type, axis=0, norm="ortho") for type in (2, 4)]
    mixing = reverse @ cosines[0].T @ cosines[1] @ reverse
    butterfly = np.block([[unit, reverse], [reverse, -unit]])
    middle = np.block([[unit, none], [none, mixing]])
    return 0.5 * butterfly @ middle @ butterfly


def _along_both_axes(images, matrix, block):
    if any(n is not None and n % block for n in images.shape[1:3]) or block % 2:
        raise ValueError(
            "Images must be of whole blocks, whose side is even. "
            f"Received: {tuple(images.shape)}, of blocks of {block}"
        )
    images = as_floats(images)
    batch, height, width, channels = ops.shape(images)
    ends, inner = _split(images, block // 2, 1)
    rows = ops.reshape(inner, (-1, block, width * channels))
    rows = ops.matmul(ops.convert_to_tensor(matrix, images.dtype), rows)
    inner = ops.reshape(rows, (batch, height - block, width, channels))
    images = ops.concatenate([ends[0], inner, ends[1]], 1)
    ends, inner = _split(images, block // 2, 2)
    # A row's block is a vector of all its channels.
    of_channels = np.kron(matrix, np.eye(channels)).T
    columns = ops.reshape(inner, (-1, block * channels))
    columns = ops.matmul(
        columns, ops.convert_to_tensor(of_channels, images.dtype)
    )
    inner = ops.reshape(columns, (batch, height, width - block, channels))
    return ops.concatenate([ends[0], inner, ends[1]], 2)


def _split(images, half, axis):
    """Both ends of an axis, and what is between them.

    A slice has a slow gradient in TensorFlow, but takes unknown sizes.
    """
    size = images.shape[axis]
    if size is not None:
        first, inner, last = ops.split(images, [half, size - half], axis)
        return (first, last), inner
    if axis == 1:
        ends = images[:, :half], images[:, -half:]
        return ends, images[:, half:-half]
    ends = images[:, :, :half], images[:, :, -half:]
    return ends, images[:, :, half:-half]
