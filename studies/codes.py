"""How much of images few codes explain: ours, and others, of the same images.

    pip install -r requirements.txt --group benchmarks
    python studies/codes.py --data_dir=DATA

Curves of explained variance against the numbers that are not 0, for every
number of an image:

- ours: the first stage of a model that ships, at several `λ`;
- blocks of as many pixels as its stride: their principal components, and their
  DCT in opponent colours, with the smallest coefficients set to 0;
- SPORCO: convolutional sparse codes of the same atoms, but at every pixel, by
  200 iterations of its ADMM.

And one program, of a photograph and 32 atoms of benchmarks/solver.py, solved by
200 of our solver steps and 200 iterations of SPORCO. Writes studies/codes.json
and docs/pictures/curve.png.
"""

import json
import pathlib

from keras_csc_cli import command_line
from keras_csc_cli import console
from keras_csc_cli.records import identification
from keras_csc_cli.records import write_json

import matplotlib
import numpy as np
from absl import flags
from scipy.fft import dct

from benchmarks import solver
from keras_csc import data
from keras_csc.evaluation.stages import code_curve
from keras_csc.files import replacing
from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.pixels import from_pixels
from keras_csc.visualization.atoms import encoder_atoms

HERE = pathlib.Path(__file__).parent
TABLE = HERE / "codes.json"
PICTURE = HERE.parent / "docs" / "pictures" / "curve.png"
SETS = {
    "csc_ctrl_digits": "digits",
    "csc_ctrl_fashion_mnist": "fashion_mnist",
    "csc_ctrl_cifar10": "cifar10",
    "csc_ctrl_photographs_fine": "photographs",
}
IMAGES, TRAINING = 250, 2000
SPORCO_PIXELS = 2**14
ITERATIONS = 200
SHARES = np.geomspace(0.01, 1, 13)  # of the coefficients that are kept
OPPONENT = np.array([[1, 1, 1], [1, -1, 0], [1, 1, -2]])


def point(nonzeros, explained):
    return {"nonzeros": float(nonzeros), "explained_variance": float(explained)}


def rows_of(images, side):
    """Blocks `(n, side² channels)` of images whose sides are divisible."""
    count, height, width, channels = images.shape
    grid = height // side, width // side
    blocks = images.reshape(count, grid[0], side, grid[1], side, channels)
    return blocks.transpose(0, 1, 3, 2, 4, 5).reshape(-1, side**2 * channels)


def principal_components(train, side):
    """An orthonormal basis, columns."""
    return np.linalg.eigh(np.cov(rows_of(train, side).T))[1]


def cosine_transform(train, side):
    """An orthonormal basis, columns, of space and of opponent colours."""
    lines = dct(np.eye(side), norm="ortho", axis=0).T
    colours = np.eye(1)
    if train.shape[-1] == 3:
        colours = (OPPONENT / np.linalg.norm(OPPONENT, axis=1)[:, None]).T
    return np.kron(np.kron(lines, lines), colours)


def largest_kept(basis, images, side):
    """The curve of a basis of blocks whose largest coefficients are kept."""
    squares = np.sort(np.square(rows_of(images, side) @ basis).ravel())[::-1]
    left = squares.sum() - np.cumsum(squares)
    whole = np.sum(np.square(images - images.mean((0, 1, 2))))
    kept = [round(share * len(squares)) for share in SHARES]
    return [point(n / len(squares), 1 - left[n - 1] / whole) for n in kept]


def by_sporco(encoder, images, curve):
    """The curve of SPORCO, at the `λ` of ours."""
    count = SPORCO_PIXELS // (images.shape[1] * images.shape[2])
    images = images[:count].astype("float32")
    whole = np.sum(np.square(images - images.mean((0, 1, 2))))
    kernel = encoder_atoms(encoder)[0]
    points = []
    for each in curve:
        found = solver.cbpdn.ConvBPDN(
            kernel,
            images.transpose(1, 2, 3, 0),
            each["sparsity"],
            solver.cbpdn.ConvBPDN.Options(
                {
                    "MaxMainIter": ITERATIONS,
                    "RelStopTol": 0.0,
                    "AutoRho": {"Enabled": True},
                    "DataType": np.float32,
                }
            ),
            dimK=1,
        )
        codes = found.solve()
        made = found.reconstruct(codes).reshape(
            images.transpose(1, 2, 3, 0).shape
        )
        rest = np.sum(np.square(made.transpose(3, 0, 1, 2) - images))
        nonzeros = np.count_nonzero(codes) / images.size
        points.append(point(nonzeros, 1 - rest / whole))
    return points


def curves(preset, dataset, data_dir):
    """Curves by name, of test images of a data set."""
    model = ClosedLoopAutoencoder.from_preset(preset)
    encoder, side = model.encoder, 4
    shape = encoder.image_shape

    def images(split, limit):
        source = data.open_dataset(dataset, split, shape, data_dir=data_dir)
        return from_pixels(data.load_arrays(source, limit)[0])

    test, train = images("test", IMAGES), images("train", TRAINING)
    ours = code_curve(encoder, test)
    return {
        "ours": ours,
        "principal components of 4×4 blocks": largest_kept(
            principal_components(train, side), test, side
        ),
        "DCT of 4×4 blocks": largest_kept(
            cosine_transform(train, side), test, side
        ),
        "SPORCO, our atoms at every pixel": by_sporco(encoder, test, ours),
    }


def same_program():
    """Ours and SPORCO's codes of one program, after `ITERATIONS`."""
    task = solver.program("camera", 256, 32, 0.1)
    ours = solver.our_solver(
        task, "float32", False, iterations=ITERATIONS, tolerance=None
    )()[0].numpy()
    advance, codes = solver.sporco_admm(task, "float32")
    advance(ITERATIONS)
    return {
        name: {
            "objective": solver.objective(task, found),
            "nonzeros": int(np.count_nonzero(found)),
        }
        for name, found in (("ours", ours), ("sporco", codes()))
    }


def draw(found):
    """The picture of the curves, a panel for each preset."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        1, len(found), figsize=(3 * len(found), 3.2), sharey=True
    )
    for axis, (preset, lines) in zip(axes, found.items()):
        for name, points in lines.items():
            axis.plot(
                [each["nonzeros"] for each in points],
                [each["explained_variance"] for each in points],
                marker="o" if name == "ours" else ".",
                label=name,
            )
        axis.set(title=preset.removeprefix("csc_ctrl_"), xscale="log")
        axis.set(xlabel="codes that are not 0, a number", ylim=(0.8, 1.005))
        axis.grid(alpha=0.3)
    axes[0].set(ylabel="explained variance")
    axes[0].legend(fontsize=7, loc="lower right")
    figure.tight_layout()
    with replacing(PICTURE) as temporary:
        figure.savefig(temporary, dpi=110, format="png")


def main():
    values = flags.FLAGS
    found = {}
    for preset, dataset in SETS.items():
        embedded = dataset in ("digits", "photographs")
        data_dir = None if embedded else values.data_dir
        found[preset] = curves(preset, dataset, data_dir)
        print(preset, json.dumps(found[preset]), flush=True)
    table = {
        "curves": found,
        "same_program": same_program(),
        "about": identification(),
    }
    write_json(TABLE, table)
    draw(found)


if __name__ == "__main__":
    flags.DEFINE_string("data_dir", None, "Folder of prepared TFDS data sets.")
    command_line.run(main, user_errors=console.user_errors())
