"""Dictionaries as layers: shipped ones, and files of others."""

import functools
import io
import pathlib

import keras
import numpy as np

from keras_csc import ops
from keras_csc.files import replacing
from keras_csc.layers import ConvSparseCoding2D

FOLDER = pathlib.Path(__file__).parent
SHIPPED = {1: "grey.npz", 3: "colour.npz"}
# Iterations of the layer; restoration has numbers of its own.
ITERATIONS = 200


def dictionary_layer(kernel, strides, sparsity):
    """A layer whose dictionary is a kernel.

    Args:
        kernel: array `(k, k, channels, filters)`, atoms of norm 1.
        strides: int.
        sparsity: float `λ` that it was learned with, for images in `[0, 1]`.

    Returns:
        `ConvSparseCoding2D`, built; its codes of images less their means are
        solutions of the program.
    """
    size, _, channels, filters = kernel.shape
    layer = ConvSparseCoding2D(
        filters,
        size,
        strides=int(strides),
        padding="valid",
        sparsity=float(sparsity),
        iterations=ITERATIONS,
        gradient="implicit",
        tolerance=1e-3,
    )
    layer.build((None, None, None, channels))
    layer.set_dictionary(kernel)
    # Learned atoms are no tight frame: the sharper bound is worth it.
    layer.operator_norm.assign(ops.spectral_bound(layer.kernel, strides))
    return layer


def save_dictionary(dictionary, path):
    """Writes the atoms of a dictionary to a file, in half precision.

    Args:
        dictionary: layer `ConvSparseCoding2D`.
        path: of the `.npz` file, which is replaced if it is there.

    Raises:
        OSError: if it can't be written.
    """
    kernel = np.asarray(
        keras.ops.convert_to_numpy(dictionary.kernel), "float16"
    )
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file,
            kernel=kernel,
            strides=dictionary.strides,
            sparsity=dictionary.sparsity,
        )


def load_dictionary(path):
    """Reads a dictionary that `save_dictionary` wrote.

    Args:
        path: of the file.

    Returns:
        Layer `ConvSparseCoding2D`.

    Raises:
        OSError: if there is no such file, or it can't be read.
        ValueError: if it holds no dictionary.
    """
    content = io.BytesIO(pathlib.Path(path).read_bytes())
    try:
        with np.load(content) as file:
            kernel = np.asarray(file["kernel"], "float32")
            strides, sparsity = int(file["strides"]), float(file["sparsity"])
    except Exception:  # NumPy's are many, for damaged files.
        kernel = np.zeros(0)
    fits = kernel.ndim == 4 and kernel.size and np.all(np.isfinite(kernel))
    if not fits or kernel.shape[0] != kernel.shape[1]:
        raise ValueError(
            f"{str(path)!r} holds no dictionary: give a file that "
            "`keras_csc.restoration.save_dictionary` wrote."
        )
    return dictionary_layer(kernel, strides, sparsity)


def default_dictionary(channels):
    """The dictionary that ships, learned by `studies/dictionaries.py`.

    Args:
        channels: int, 1 (grey) or 3 (red, green and blue, jointly).

    Returns:
        Layer `ConvSparseCoding2D`, always the same one.

    Raises:
        ValueError: for another number of channels.
    """
    if channels not in SHIPPED:
        raise ValueError(
            "`channels` must be 1 or 3, for which dictionaries ship; learn one "
            f"with `learn_dictionary` for others. Received: {channels}"
        )
    return _shipped(channels)


@functools.cache
def _shipped(channels):
    return load_dictionary(FOLDER / SHIPPED[channels])
