"""Grids of images, and of images with their reconstructions."""

import numpy as np

from keras_csc.visualization.labels import label_gutter
from keras_csc.visualization.tiles import WHITE
from keras_csc.visualization.tiles import arrange
from keras_csc.visualization.tiles import image_tiles

BORDER = 2
GROUP_GAP = 10


def image_grid(images, columns=None, padding=2, scale=1):
    """Images row by row on white.

    Args:
        images: floats in `[-1, 1]` of shape `(n, h, w, 1 or 3)`.
        columns: int. Defaults to a near-square grid.
        padding: int, pixels between images. Defaults to 2.
        scale: int, every image pixel becomes a square of this side.
            Defaults to 1.

    Returns:
        A `uint8` array of shape `(height, width, 3)`.

    Raises:
        ValueError: if an argument is out of range, see the module `tiles`.

    Example:

    >>> save_png("samples.png", image_grid(images, columns=8, scale=2))
    """
    return arrange(image_tiles(images, scale), columns, (padding, padding))


def reconstruction_grid(images, reconstructions, columns=10, scale=1):
    """Rows of images with their reconstructions straight beneath.

    Args:
        images: floats in `[-1, 1]` of shape `(n, h, w, 1 or 3)`.
        reconstructions: floats of the same shape.
        columns: int, pairs a row. Defaults to 10.
        scale: int, enlargement. Defaults to 1.

    Returns:
        A `uint8` array of shape `(height, width, 3)`.

    Raises:
        ValueError: if shapes differ or an argument is out of range.

    Example:

    >>> grid = reconstruction_grid(images, autoencoder(images), scale=2)
    """
    return comparison_grid([images, reconstructions], None, columns, scale)


def comparison_grid(image_sets, labels=None, columns=10, scale=1):
    """Images above what several models made of them.

    The k-th image of every set stands in one column, a set a row. Rows of a
    group almost touch; groups of `columns` images follow at a larger distance.

    Args:
        image_sets: list of float arrays in `[-1, 1]` of one shape
            `(n, h, w, 1 or 3)`: originals first, then the contenders.
        labels: list of one short string a set, written at the left of its
            rows, or `None`.
        columns: int, images a row. Defaults to 10.
        scale: int, enlargement. Defaults to 1.

    Returns:
        A `uint8` array of shape `(height, width, 3)`.

    Raises:
        ValueError: if sets differ in shape, labels in number, or an argument
            is out of range.

    Example:

    >>> grid = comparison_grid([x, x_csc, x_vae], ["image", "CSC", "VAE"])
    """
    shapes = [np.shape(images) for images in image_sets]
    if len(set(shapes)) != 1:
        raise ValueError(
            f"`image_sets` must hold arrays of one shape. Received: {shapes}"
        )
    if labels is not None and len(labels) != len(image_sets):
        raise ValueError(
            "`labels` must hold one string for every set of images. "
            f"Received: {len(labels)} labels for {len(image_sets)} sets"
        )
    tiles = np.stack([image_tiles(images, scale) for images in image_sets], 1)
    stacks = _stack(tiles)
    grid = arrange(stacks, columns, (GROUP_GAP, BORDER))
    grid = grid[GROUP_GAP - BORDER : BORDER - GROUP_GAP]
    if labels is None:
        return grid
    groups = range(BORDER, len(grid), stacks.shape[1] + GROUP_GAP)
    step = tiles.shape[2] + 1
    rows = [
        (top + step * (index + 0.5), label)
        for top in groups
        for index, label in enumerate(labels)
    ]
    return np.concatenate([label_gutter(rows, len(grid)), grid], axis=1)


def _stack(tiles):
    """Join the tiles `(n, sets, h, w, 3)` of every image, one pixel apart."""
    gap = ((0, 0), (0, 0), (0, 1), (0, 0), (0, 0))
    tiles = np.pad(tiles, gap, constant_values=WHITE)
    return tiles.reshape(len(tiles), -1, *tiles.shape[3:])[:, :-1]
