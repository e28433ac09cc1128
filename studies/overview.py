"""Draws docs/pictures/overview.jpg, of the models that come with the package.

    python -m studies.overview DATA

A photograph that scikit-image ships, as a sum of atoms of
`csc_ctrl_photographs`, and restored by the denoiser; test images of CIFAR-10 in
the TFDS folder DATA, and their regenerations by `csc_ctrl_cifar10`.
"""

import pathlib
import sys

import numpy as np
import skimage.data
from matplotlib import pyplot as plt
from skimage.metrics import peak_signal_noise_ratio

from keras_csc import data
from keras_csc import restoration
from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.pixels import from_pixels

PATH = pathlib.Path(__file__).parents[1] / "docs" / "pictures" / "overview.jpg"
COUNTS = (1, 2, 5, 10, 20)
NOISE = 25
IMAGES = 12


def shown(axes, image, title=""):
    """An image in [0, 1], with its title and nothing else."""
    axes.imshow(np.clip(image, 0, 1))
    axes.set_title(title, fontsize=9)
    axes.axis("off")


def sums(subfigure, photograph):
    """The photograph as a sum of its strongest atoms."""
    model = ClosedLoopAutoencoder.from_preset("csc_ctrl_photographs")
    stage = model.explain(photograph).stages[0]
    partial = dict(stage.partial_sums([*COUNTS, len(stage.order)]))
    titles = ["1 atom", *(f"{count} atoms" for count in COUNTS[1:])]
    titles.append(f"all {len(stage.order)}")
    subfigure.suptitle("An image is a sum of atoms", x=0.01, ha="left")
    panels = subfigure.subplots(1, len(titles))
    for axes, title, total in zip(panels, titles, partial.values()):
        shown(axes, (np.asarray(stage.to_pixels(total)) + 1) / 2, title)


def restored(subfigure, photograph):
    """The photograph with noise, and without."""
    clean = photograph / 255
    noise = np.random.default_rng(0).standard_normal(clean.shape)
    noisy = clean + NOISE / 255 * noise
    images = noisy, restoration.denoise(noisy, NOISE / 255)
    titles = f"with noise of {NOISE} of 255", "restored"
    subfigure.suptitle("Photographs of any size", x=0.01, ha="left")
    for axes, image, title in zip(subfigure.subplots(1, 2), images, titles):
        near = peak_signal_noise_ratio(
            clean, np.clip(image, 0, 1), data_range=1
        )
        shown(axes, image, f"{title}: {near:.1f} dB")


def regenerated(subfigure, data_dir):
    """Test images, and below each its regeneration."""
    model = ClosedLoopAutoencoder.from_preset("csc_ctrl_cifar10")
    source = data.open_dataset("cifar10", "test", (32, 32, 3), data_dir)
    images = from_pixels(data.load_arrays(source, IMAGES)[0])
    subfigure.suptitle(
        "Images, and what is drawn from 128 numbers of each", x=0.01, ha="left"
    )
    rows = subfigure.subplots(2, IMAGES)
    for panels, row in zip(rows, (images, model.reconstruct(images))):
        for axes, image in zip(panels, np.asarray(row)):
            shown(axes, (image + 1) / 2)


def draw(data_dir):
    """The figure."""
    photograph = skimage.data.chelsea()
    figure = plt.figure(figsize=(9.6, 6.6), layout="constrained")
    rows = figure.subfigures(3, 1, height_ratios=(1, 1.9, 1.25))
    sums(rows[0], photograph)
    restored(rows[1], photograph)
    regenerated(rows[2], data_dir)
    return figure


if __name__ == "__main__":
    draw(*sys.argv[1:]).savefig(PATH, dpi=150)
