"""Atoms and codes of convolutional dictionaries as pictures."""

import math

import numpy as np
import tensorflow as tf

from keras_csc.visualization.grids import arrange
from keras_csc.visualization.grids import image_tiles

ATOM_PIXELS = 48
RED, BLUE = (214, 64, 48), (38, 110, 196)


def atom_grid(kernel, columns=None, maximum=64, scale=None):
    """Atoms of a layer, each scaled so that zero is mid-grey.

    Atom `a` is drawn as `a / max|a|`: black and white are its extremes, and
    only its shape shows, not its norm. Atoms keep the order of the filters,
    which carries no meaning; a layer with more than `maximum` filters is
    represented by its first ones.

    Args:
        kernel: array of shape `(k, k, channels, filters)`, 1 or 3 channels.
            Use `pixel_atoms` for the deeper layers.
        columns: int. Defaults to a near-square grid.
        maximum: int, the number of atoms drawn at most. Defaults to 64.
        scale: int, enlargement. Defaults to what makes an atom at least
            48 pixels high.

    Returns:
        A `uint8` array of shape `(height, width, 3)`.

    Example:

    >>> save_png("atoms.png", atom_grid(layer.kernel))
    """
    kernel = np.asarray(kernel, dtype="float32")
    if kernel.ndim != 4 or kernel.shape[2] not in (1, 3):
        raise ValueError(
            "`kernel` must have shape (k, k, 1 or 3, filters); use "
            "`pixel_atoms` to see deeper layers in pixels. "
            f"Received: kernel.shape={kernel.shape}"
        )
    scale = scale or math.ceil(ATOM_PIXELS / kernel.shape[0])
    atoms = atom_images(kernel[..., :maximum])
    return arrange(image_tiles(atoms, scale), columns, (2, 2))


def atom_images(kernel):
    """Atoms `a / max|a|`, as images `(filters, k, k, channels)`."""
    atoms = np.moveaxis(kernel, -1, 0)
    peak = np.max(np.abs(atoms), axis=(1, 2, 3), keepdims=True)
    return atoms / np.where(peak > 0, peak, 1)


def pixel_atoms(kernels, strides):
    """Atoms of a deep layer as the images that they stand for.

    `a_j = A_1 A_2 ... A_l e_j`, where `A_i` is the synthesis operator (the
    transposed convolution with `W_i` and stride `s_i`) and `e_j` the code that
    is one at a single place of filter `j`. **Only the linear synthesis counts:
    normalisation and thresholding between layers are left out**, so that this
    is what an atom means to an idealised linear decoder. Supports are whole,
    without padding: they grow as `K ← (K - 1) s_i + k_i`. The stride of the
    last layer has no influence.

    Args:
        kernels: list `[W_1, ..., W_l]` of arrays `(k, k, channels, filters)`
            from the image upwards.
        strides: list of as many positive integers.

    Returns:
        A float32 array of shape `(K, K, image channels, filters of W_l)`, for
        `atom_grid`.

    Example:

    >>> atom_grid(pixel_atoms([w1, w2, w3], strides=[2, 2, 2]))
    """
    kernels = [np.asarray(kernel, dtype="float32") for kernel in kernels]
    atoms = np.moveaxis(kernels[-1], -1, 0)
    for kernel, stride in zip(kernels[-2::-1], strides[-2::-1]):
        height, width = (
            (size - 1) * stride + support
            for size, support in zip(atoms.shape[1:3], kernel.shape[:2])
        )
        atoms = tf.nn.conv2d_transpose(
            atoms,
            kernel,
            output_shape=(len(atoms), height, width, kernel.shape[2]),
            strides=stride,
            padding="VALID",
        )
    return np.moveaxis(np.asarray(atoms), 0, -1)


def encoder_atoms(encoder):
    """List of the `pixel_atoms` of every stage of an encoder."""
    below, found = [], []
    for number, layer in enumerate(encoder.coding_layers, start=1):
        kernel = np.asarray(layer.kernel, dtype="float32")
        found.append(pixel_atoms([*below, kernel], [2] * number))
        if encoder.parts_per_code == 2:
            kernel = np.concatenate([kernel, -kernel], axis=-1)
        below.append(kernel)
    return found


def draw_atoms(model):
    """Dict of `atom_grid` pictures, `atoms_1`, `atoms_2`, ..., by stage."""
    return {
        f"atoms_{number}": atom_grid(atoms)
        for number, atoms in enumerate(encoder_atoms(model.encoder), start=1)
    }


# === Codes ===


def code_shades(codes):
    """Codes as red or blue whose opacity is their size, on one scale.

    Args:
        codes: floats `(height, width, atoms)`.

    Returns:
        A `uint8` array `(atoms, height, width, 4)`.
    """
    maps = np.moveaxis(codes, -1, 0)
    opacity = np.sqrt(np.abs(maps) / (np.max(np.abs(maps)) or 1))
    color = np.where(maps[..., None] < 0, np.uint8(BLUE), np.uint8(RED))
    opacity = np.rint(255 * opacity[..., None]).astype("uint8")
    return np.concatenate([color, opacity], -1)


def on_white(tiles):
    """`uint8` tiles `(..., 3)` of tiles that may have an opacity."""
    if tiles.shape[-1] == 3:
        return tiles
    opacity = tiles[..., 3:] / 255
    made = 255 + opacity * (tiles[..., :3].astype("float32") - 255)
    return np.rint(made).astype("uint8")
