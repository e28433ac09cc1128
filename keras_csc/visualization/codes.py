"""Sparse codes as heat maps."""

import math

import numpy as np

from keras_csc.visualization.tiles import arrange
from keras_csc.visualization.tiles import enlarge

DIVERGING = ("#053061", "#2f79b5", "white", "#c6403d", "#67001f")
FRAME = 205
MAP_PIXELS = 64


def code_maps(codes, columns=None, maximum=16, scale=None):
    """Codes of one image, a heat map for each of its most active filters.

    Zero is white, positive entries are red and negative ones blue. All maps
    share one scale, the largest magnitude shown, so that they compare; colour
    follows `sign(z) √(|z| / max|z|)`, which keeps small entries visible.

    Args:
        codes: floats of shape `(height, width, filters)`.
        columns: int. Defaults to a near-square grid.
        maximum: int, the number of maps. Filters are taken and sorted by
            `Σ|z|`, the most active first. Defaults to 16.
        scale: int, enlargement. Defaults to what makes a map at least 64
            pixels wide.

    Returns:
        A `uint8` array of shape `(height, width, 3)`.

    Raises:
        ValueError: if `codes` has another rank, is not finite, or an argument
            is out of range.

    Example:

    >>> save_png("codes.png", code_maps(layer(images)[0]))
    """
    codes = np.asarray(codes, dtype="float32")
    if codes.ndim != 3 or not codes.size or not np.all(np.isfinite(codes)):
        raise ValueError(
            "`codes` must be finite, of shape (height, width, filters): one "
            f"image at a time. Received: codes.shape={codes.shape}"
        )
    if maximum < 1:
        raise ValueError(
            f"`maximum` must be positive. Received: maximum={maximum}"
        )
    activity = np.sum(np.abs(codes), axis=(0, 1))
    order = np.argsort(-activity, kind="stable")[:maximum]
    tiles = code_tiles(codes[..., order])
    if scale is None:
        scale = math.ceil(MAP_PIXELS / codes.shape[1])
    return arrange(enlarge(tiles, scale), columns, (2, 2), FRAME)


def code_tiles(codes):
    """Heat maps of codes, a place a pixel, in the colours of `code_maps`.

    Args:
        codes: floats of shape `(height, width, filters)`.

    Returns:
        A `uint8` array of shape `(filters, height, width, 3)`.
    """
    from matplotlib.colors import LinearSegmentedColormap

    maps = np.moveaxis(codes, -1, 0)
    maps = maps / (np.max(np.abs(maps)) or 1)
    maps = np.sign(maps) * np.sqrt(np.abs(maps))
    colors = LinearSegmentedColormap.from_list("codes", DIVERGING, N=257)
    return colors((maps + 1) / 2, bytes=True)[..., :3]
