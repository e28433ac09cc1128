"""Lapped orthogonal transforms: orthonormal blocks without seams."""

import numpy as np
from keras import ops
from scipy.fft import dct


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
    matrix = ops.convert_to_tensor(matrix, images.dtype)
    batch, height, width, channels = ops.shape(images)
    half = block // 2
    inner = ops.reshape(images[:, half:-half], (-1, block, width, channels))
    inner = _mixed(inner, matrix)
    inner = ops.reshape(inner, (batch, height - block, width, channels))
    images = ops.concatenate([images[:, :half], inner, images[:, -half:]], 1)
    inner = ops.reshape(images[:, :, half:-half], (-1, block, channels))
    inner = _mixed(inner, matrix)
    inner = ops.reshape(inner, (batch, height, width - block, channels))
    ends = images[:, :, :half], images[:, :, -half:]
    return ops.concatenate([ends[0], inner, ends[1]], 2)


def _mixed(blocks, matrix):
    """`matrix` along axis 1; the converter to LiteRT spoils an einsum."""
    mixed = ops.tensordot(blocks, matrix, [[1], [1]])
    return ops.moveaxis(mixed, -1, 1)
