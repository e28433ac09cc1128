"""Dictionaries: learned from images, as layers, in files, and shipped."""

import functools
import io
import pathlib

import numpy as np
from keras import ops

from keras_csc.files import replacing
from keras_csc.layers import ConvSparseCoding2D
from keras_csc.ops import SparseCodingProgram
from keras_csc.ops import solve_sparse_code
from keras_csc.ops import spectral_bound
from keras_csc.ops.convolution import forms
from keras_csc.restoration import checks as checked
from keras_csc.validation import check_integer
from keras_csc.validation import check_number

FOLDER = pathlib.Path(__file__).parent
SHIPPED = {1: "grey.npz", 3: "colour.npz"}
# Of the layer of a dictionary.
LAYER_ITERATIONS = 200
# Of learning.
TOLERANCE, ITERATIONS = 3e-2, 100
# Of a past batch's statistics, `(1 - 1/t)^FORGETTING` is left at step `t`.
FORGETTING = 1.5
# Rounds over the atoms that adapt to an image.
SWEEPS = 3


def learn_dictionary(
    images,
    filters=128,
    kernel_size=8,
    sparsity=0.12,
    epochs=10,
    windows=50_000,
    batch_size=2_000,
    seed=0,
    progress=None,
):
    """Learns the atoms of a strided dictionary from images.

    `min_{W, z} Σ_w ½‖x_w - A z_w‖² + λ‖z_w‖₁` with atoms of norm 1, over
    windows `x_w` of the images of an atom's size, less their mean in every
    channel. They are what the program on whole images falls apart into when
    the strides are the atoms' size, for every shift of its grid. Batches are
    coded by `ops.solve_sparse_code`, from the second epoch on from where they
    were; then atoms take one round of block coordinate descent on the
    quadratic surrogate of all batches so far; older batches weigh less.
    An atom that no code has used yet becomes the window that is approximated
    worst.

    Args:
        images: list of arrays `(height, width)` or `(height, width,
            channels)`, in `[0, 1]`, with 1 or 3 channels, all alike.
        filters: int, number of atoms.
        kernel_size: int, height and width of the atoms.
        sparsity: float `λ > 0`, in the units of the images.
        epochs: int, how often every window is used.
        windows: int, how many there are, drawn at random.
        batch_size: int, the fewest windows of a batch, at most `windows`.
        seed: int, of what is drawn.
        progress: function of the epoch, of all epochs, and of the mean
            objective of a window in that epoch; or `None`.

    Returns:
        Layer `ConvSparseCoding2D` with strides of `kernel_size`.

    Reference:
        Mairal, Bach, Ponce & Sapiro, Online learning for matrix factorization
        and sparse coding, JMLR 2010, algorithms 1 and 2, section 3.4.
    """
    check_integer(1, filters=filters, kernel_size=kernel_size, epochs=epochs)
    check_integer(1, batch_size=batch_size)
    check_integer(batch_size, windows=windows)
    check_integer(0, seed=seed)
    check_number("(0, inf)", sparsity=sparsity)
    images = [checked.image(each, "images") for each in images]
    if len({image.shape[-1] for image in images}) != 1:
        raise ValueError(
            "`images` must be one or more images, all grey or all in colour. "
            f"Received: {len(images)} with {[i.shape for i in images][:4]}"
        )
    drawn = _windows(images, kernel_size, windows, seed)
    vectors = drawn.reshape(windows, -1)
    atoms = _first_atoms(vectors, filters, sparsity, seed)
    batches = np.array_split(np.arange(windows), windows // batch_size)
    before, moments, products, steps = None, 0.0, 0.0, 0
    for epoch in range(epochs):
        codes, total = np.zeros((windows, filters), "float32"), 0.0
        order = np.random.default_rng([seed, 2, epoch])
        for number in order.permutation(len(batches)):
            rows = batches[number]
            kernel = _kernel(atoms, drawn.shape)
            start = None if before is None else before[rows]
            codes[rows], objective = _coded(
                drawn[rows], kernel, sparsity, start
            )
            total, steps = total + objective, steps + 1
            kept = (1 - 1 / steps) ** FORGETTING
            seen = codes[rows].astype("float64")
            moments = kept * moments + seen.T @ seen
            products = kept * products + vectors[rows].T @ seen
            _descend(atoms, moments, products, vectors[rows], seen)
        before = codes
        if progress is not None:
            progress(epoch + 1, epochs, total / windows)
    kernel = _kernel(atoms, drawn.shape)
    return dictionary_layer(kernel, kernel_size, sparsity)


def _first_atoms(vectors, filters, sparsity, seed):
    """Windows of norm 1, a column each; columns of zeros become random."""
    chosen = np.random.default_rng([seed, 1]).permutation(len(vectors))
    norms = np.linalg.norm(vectors[chosen], axis=1)
    # Windows that are flat are no atoms, if there are others.
    chosen = chosen[np.argsort(norms <= sparsity, kind="stable")]
    columns = vectors[np.resize(chosen, filters)].T.astype("float64")
    norms = np.linalg.norm(columns, axis=0)
    noise = np.random.default_rng(0).normal(size=columns.shape)
    columns = np.where(norms > 1e-6, columns, noise)
    return columns / np.linalg.norm(columns, axis=0)


def _kernel(atoms, shape):
    """Columns as a kernel `(k, k, channels, filters)`."""
    return atoms.reshape(*shape[1:], -1).astype("float32")


def _coded(windows, kernel, sparsity, start):
    """Codes `(windows, filters)`, and the sum of the objectives."""
    kernel, images = map(ops.convert_to_tensor, (kernel, windows))
    if start is not None:
        start = ops.convert_to_tensor(start[:, None, None])
    codes = forms().solving(solve_sparse_code)(
        images,
        kernel,
        sparsity,
        1 / spectral_bound(kernel, kernel.shape[0]),
        strides=kernel.shape[0],
        padding="valid",
        iterations=ITERATIONS,
        tolerance=TOLERANCE,
        initial_codes=start,
    )
    program = SparseCodingProgram(
        images, kernel, sparsity, False, kernel.shape[0], "valid"
    )
    value = ops.sum(program.value(codes, program.residual(codes)))
    return ops.convert_to_numpy(codes)[:, 0, 0], float(value)


def _descend(atoms, moments, products, vectors, codes):
    """One round over the atoms, each to the minimum of the surrogate."""
    worst = np.sum(np.square(vectors - codes @ atoms.T), 1)
    worst = iter(np.argsort(-worst))
    for index in range(atoms.shape[1]):
        if moments[index, index] > 0:
            atom = best_atom(atoms, moments, products, index)
        else:
            atom = vectors[next(worst, 0)]
        if np.any(atom):
            atoms[:, index] = atom / np.linalg.norm(atom)


def adapted(atoms, given, moments, products, weight):
    """Atoms that have learned from codes, towards others.

    `min_D ‖X - D Z‖² + w ‖D - D₀‖²`, by `SWEEPS` rounds over the atoms, each
    of which is scaled to norm 1.

    Args:
        atoms: array `D` to begin with, an atom a column.
        given: array `D₀`.
        moments, products: as of `best_atom`.
        weight: float `w > 0`.
    """
    atoms = atoms.astype("float64")
    moments = moments + weight * np.eye(atoms.shape[1])
    products = products + weight * given
    for _ in range(SWEEPS):
        for index in range(atoms.shape[1]):
            atom = best_atom(atoms, moments, products, index)
            if np.any(atom):
                atoms[:, index] = atom / np.linalg.norm(atom)
    return atoms


def best_atom(atoms, moments, products, index):
    """The column that lowers `‖X - D Z‖²` most, the others as they are.

    Args:
        atoms: array `D`, an atom a column.
        moments: array `Z Zᵀ` of codes, an atom a row of `Z`.
        products: array `X Zᵀ` of windows, a window a column of `X`.
        index: int, which column; its atom is used.

    Reference:
        Mairal et al., JMLR 2010, equation (10), before it is scaled.
    """
    slope = products[:, index] - atoms @ moments[:, index]
    return atoms[:, index] + slope / moments[index, index]


def _windows(images, size, count, seed):
    """Windows `(count, size, size, channels)` less their means."""
    smallest = min(min(image.shape[:2]) for image in images)
    check_integer(
        1, smallest, "the smallest side of the images", kernel_size=size
    )
    rng = np.random.default_rng([seed, 0])
    found = np.empty((count, size, size, images[0].shape[-1]), "float32")
    for number in range(count):
        image = images[rng.integers(len(images))]
        top, left = (rng.integers(n - size + 1) for n in image.shape[:2])
        found[number] = image[top : top + size, left : left + size]
    return found - found.mean((1, 2), keepdims=True)


# === Layers and files ===


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
        iterations=LAYER_ITERATIONS,
        gradient="implicit",
        tolerance=1e-3,
    )
    layer.build((None, None, None, channels))
    layer.set_dictionary(kernel)
    # Learned atoms are no tight frame: the sharper bound is worth it.
    layer.operator_norm.assign(spectral_bound(layer.kernel, strides))
    return layer


def save_dictionary(dictionary, path):
    """Writes the atoms of a dictionary to a file, in half precision.

    Args:
        dictionary: layer `ConvSparseCoding2D`.
        path: of the `.npz` file, which is replaced if it is there.

    Raises:
        OSError: if it can't be written.
    """
    kernel = np.asarray(ops.convert_to_numpy(dictionary.kernel), "float16")
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
