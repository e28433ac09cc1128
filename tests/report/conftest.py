"""Pages of small models, that the tests of this folder share."""

import keras
import numpy as np
import pytest

from keras_csc import report
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import spread_weights

NAMES = ["<script>alerted = 1</script>", 'a & "b"' + "x" * 120, "Ünï"]
LOG = [
    {
        "step": step,
        "time": 1.0,
        "objective": 10.0 / step**2,
        "shown_psnr": 20.0 + step if step != 30 else float("nan"),
        "zero_fraction/stage_1": 0.5,
        "zero_fraction/stage_2": 0.6,
        "images_per_second": 7.0,
    }
    for step in range(10, 60, 10)
]
CARD = {
    "recipe": {"game": {"class_features": 2}, "steps": 50},
    "training": {"sessions": [{"command": "train <b>"}]},
    "evaluation": {
        "psnr": 12.25,
        "ssim": None,
        "zero_fraction": [0.5, 0.75],
        "psnr_of": {"pca": 20.0},
        "linear_probe_accuracy": 0.5,
    },
}


def make(**changes):
    keras.utils.set_random_seed(0)
    model = small_autoencoder(**{"nonnegative": True, **changes})
    spread_weights(model)
    return model


def draw(count, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 8, 8, channels), np.uint8)


@pytest.fixture(scope="session")
def labelled(tmp_path_factory):
    """A model of grey vectors, its images and labels, and their page."""
    model, images = make(), draw(45)
    labels = np.arange(45) % 3
    labels[::9] = -1
    model.fit_density(images, labels)
    path = report.write_report(
        tmp_path_factory.mktemp("labelled") / "page.html",
        model,
        "name <i>",
        images,
        labels,
        NAMES,
        CARD,
        LOG,
        "Images of <u>.",
    )
    return model, images, labels, path


@pytest.fixture(scope="session")
def of_maps(tmp_path_factory):
    """The same of colour maps, without labels, card and log."""
    model = make(features="map", image_shape=(8, 8, 3))
    images = draw(12, 3)
    path = tmp_path_factory.mktemp("maps") / "page.html"
    return model, images, report.write_report(path, model, "maps", images)
