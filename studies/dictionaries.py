"""Learns the dictionaries that ship with `keras_csc.restoration`.

    python studies/dictionaries.py --photographs=FOLDER --channels=1
    python studies/dictionaries.py --photographs=FOLDER --channels=3 \\
        --windows=16000 --epochs=2

From all image files of a folder, in grey and in colour. What ships was learned
from 300 photographs of ImageNet's training classes; the file holds atoms of
8×8 pixels in half precision, and no photographs.
"""

import argparse
import pathlib

import numpy as np
from keras import ops
from PIL import Image

from keras_csc.ops import SparseCodingProgram
from keras_csc.ops import solve_sparse_code
from keras_csc.ops import spectral_bound
from keras_csc.ops.tensors import solving
from keras_csc.restoration.restoring import SHIPPED
from keras_csc.restoration.restoring import best_atom

# By channels.
FILTERS = {1: 128, 3: 192}
SPARSITY = {1: 0.12, 3: 0.15}
SIZE, BATCH = 8, 2_000
TOLERANCE, ITERATIONS = 3e-2, 100
# Of a past batch's statistics, `(1 - 1/t)^FORGETTING` is left at step `t`.
FORGETTING = 1.5


def learn(windows, filters, sparsity, epochs, batch=BATCH):
    """Learns atoms of norm 1, and yields them after every epoch.

    `min_{W, z} Σ_w ½‖x_w - W z_w‖² + λ‖z_w‖₁`. Batches are coded, from the
    second epoch on from where they were; then atoms take one round of block
    coordinate descent on the quadratic surrogate of all batches so far, where
    older ones weigh less. An atom that no code has used yet becomes the window
    that is approximated worst.

    Args:
        windows: float32 array `(n, k, k, channels)`, less their means.
        filters: int, number of atoms.
        sparsity: float `λ`.
        epochs: int, how often every window is used.
        batch: int, the fewest windows of a batch.

    Yields:
        The kernel `(k, k, channels, filters)`, and the mean objective of a
        window in that epoch.

    Reference:
        Mairal, Bach, Ponce & Sapiro, Online learning for matrix factorization
        and sparse coding, JMLR 2010, algorithms 1 and 2, section 3.4.
    """
    vectors = windows.reshape(len(windows), -1)
    atoms = first_atoms(vectors, filters, sparsity)
    batches = np.array_split(np.arange(len(windows)), len(windows) // batch)
    before, moments, products, steps = None, 0.0, 0.0, 0
    for epoch in range(epochs):
        codes = np.zeros((len(windows), filters), "float32")
        total = 0.0
        order = np.random.default_rng([0, 2, epoch]).permutation(len(batches))
        for rows in (batches[number] for number in order):
            kernel = atoms.reshape(*windows.shape[1:], -1).astype("float32")
            start = None if before is None else before[rows]
            codes[rows], sums = coded(windows[rows], kernel, sparsity, start)
            total, steps = total + sums, steps + 1
            kept = (1 - 1 / steps) ** FORGETTING
            seen = codes[rows].astype("float64")
            moments = kept * moments + seen.T @ seen
            products = kept * products + vectors[rows].T @ seen
            descend(atoms, moments, products, vectors[rows], seen)
        before = codes
        kernel = atoms.reshape(*windows.shape[1:], -1).astype("float32")
        yield kernel, total / len(windows)


def first_atoms(vectors, filters, sparsity):
    """Windows of norm 1, a column each; those that are flat come last."""
    chosen = np.random.default_rng([0, 1]).permutation(len(vectors))
    norms = np.linalg.norm(vectors[chosen], axis=1)
    chosen = chosen[np.argsort(norms <= sparsity, kind="stable")]
    columns = vectors[np.resize(chosen, filters)].T.astype("float64")
    return columns / np.linalg.norm(columns, axis=0)


def coded(windows, kernel, sparsity, start):
    """Codes `(windows, filters)`, and the sum of the objectives."""
    kernel, images = map(ops.convert_to_tensor, (kernel, windows))
    if start is not None:
        start = ops.convert_to_tensor(start[:, None, None])
    size = kernel.shape[0]
    codes = solving(solve_sparse_code)(
        images,
        kernel,
        sparsity,
        1 / spectral_bound(kernel, size),
        strides=size,
        padding="valid",
        iterations=ITERATIONS,
        tolerance=TOLERANCE,
        initial_codes=start,
    )
    program = SparseCodingProgram(
        images, kernel, sparsity, False, size, "valid"
    )
    value = ops.sum(program.value(codes, program.residual(codes)))
    return ops.convert_to_numpy(codes)[:, 0, 0], float(value)


def descend(atoms, moments, products, vectors, codes):
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


def drawn_windows(folder, channels, count):
    """Windows of a folder's photographs in [0, 1], less their means."""
    images = []
    for path in sorted(pathlib.Path(folder).iterdir()):
        with Image.open(path) as image:
            pixels = image.convert("L" if channels == 1 else "RGB")
            images.append(np.asarray(pixels, "float32") / 255)
    rng = np.random.default_rng([0, 0])
    found = np.empty((count, SIZE, SIZE, channels), "float32")
    for window in found:
        image = images[rng.integers(len(images))]
        top, left = (rng.integers(n - SIZE + 1) for n in image.shape[:2])
        part = image[top : top + SIZE, left : left + SIZE]
        window[:] = part.reshape(window.shape)
    return found - found.mean((1, 2), keepdims=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photographs", required=True, help="a folder")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--windows", type=int, default=40_000)
    parser.add_argument("--channels", default="1,3")
    options = parser.parse_args()
    for channels in map(int, options.channels.split(",")):
        given = options.photographs, channels, options.windows
        learned = learn(
            drawn_windows(*given),
            FILTERS[channels],
            SPARSITY[channels],
            options.epochs,
        )
        for kernel, objective in learned:
            print(f"{channels} channels: {objective:.5f}", flush=True)
        with np.load(SHIPPED) as file:
            found = dict(file)
        found[f"channels_{channels}"] = kernel.astype("float16")
        np.savez_compressed(SHIPPED, **found)
        print(f"{SHIPPED}: {SHIPPED.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
