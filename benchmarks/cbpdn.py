"""Our solver against SPORCO's CBPDN: the same program, the same optimum?

    pip install sporco
    python benchmarks/cbpdn.py

SPORCO's images are periodic, ours are surrounded by zeros. The programs are
the same for an image in a frame of zeros so wide that no code reaches the
border, which is checked. Writes benchmarks/results/cbpdn.json.
"""

import pathlib

from training.workdir import identification
from training.workdir import write_json

import numpy as np
import tensorflow as tf
from sklearn.datasets import load_sample_images
from sporco.admm import cbpdn

from keras_csc import ops

RESULTS = pathlib.Path(__file__).parent / "results" / "cbpdn.json"
SIZE, FRAME = 16, 10


def photograph(number):
    """A grey patch of a photograph, of mean 0, in its frame."""
    patch = load_sample_images().images[number][100:, 200:][:SIZE, :SIZE]
    patch = np.mean(patch / 255, -1)
    return np.pad(patch - np.mean(patch), FRAME)


def dictionary(size, filters):
    kernel = np.random.default_rng(0).normal(size=(size, size, 1, filters))
    return kernel / np.sqrt(np.sum(kernel**2, axis=(0, 1, 2)))


def sporco_objective(image, kernel, sparsity):
    options = {
        "MaxMainIter": 1000,
        "RelStopTol": 1e-8,
        "AutoRho": {"Enabled": True},
    }
    solver = cbpdn.ConvBPDN(
        kernel[:, :, 0],
        image,
        sparsity,
        cbpdn.ConvBPDN.Options(options),
        dimK=0,
    )
    solver.solve()
    codes = np.squeeze(solver.getcoef(), (2, 3))
    border = np.ones(image.shape, bool)
    size = kernel.shape[0]
    border[size:-size, size:-size] = False
    if np.any(codes[border]):
        raise ValueError("codes reach the border: a wider frame is needed")
    residual = image - solver.reconstruct().squeeze()
    return sparsity * np.sum(np.abs(codes)) + 0.5 * np.sum(residual**2)


def our_objective(image, kernel, sparsity):
    """Returns the objective and the relative duality gap."""
    images = image[None, :, :, None]
    codes = tf.function(ops.solve_sparse_code)(
        images,
        kernel,
        sparsity,
        1 / ops.spectral_bound(kernel),
        iterations=3000,
        tolerance=1e-8,
    )
    value = ops.lasso_objective(images, codes, kernel, sparsity)
    gap = ops.duality_gap(images, codes, kernel, sparsity)
    return float(value[0]), float(gap[0] / value[0])


def measure():
    for number, size, filters, sparsity in (
        (0, 5, 8, 0.05),
        (0, 5, 8, 0.2),
        (1, 6, 12, 0.1),
    ):
        image, kernel = photograph(number), dictionary(size, filters)
        theirs = sporco_objective(image, kernel, sparsity)
        ours, gap = our_objective(image, kernel, sparsity)
        yield {
            "photograph": number,
            "kernel_size": size,
            "filters": filters,
            "sparsity": sparsity,
            "objective": ours,
            "duality_gap": gap,
            "sporco_objective": theirs,
            "relative_difference": abs(ours - theirs) / theirs,
            **identification(),
        }


def main():
    rows = list(measure())
    RESULTS.parent.mkdir(exist_ok=True)
    write_json(RESULTS, rows)
    columns = list(rows[0])[:8]
    print(*(f"{name:>19}" for name in columns))
    for row in rows:
        print(*(f"{row[name]:19.10g}" for name in columns))


if __name__ == "__main__":
    main()
