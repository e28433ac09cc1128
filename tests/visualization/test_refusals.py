"""What pictures refuse, and what they say."""

import numpy as np
import pytest

from keras_csc import visualization
from tests.helpers.reference_loop import small_autoencoder

IMAGES = np.zeros((4, 6, 4, 3))
KERNEL = np.zeros((3, 3, 3, 8))


@pytest.mark.parametrize(
    "name, arguments, message",
    [
        ("image_grid", [IMAGES[0]], r"shape.*\(6, 4, 3\)"),
        ("image_grid", [np.zeros((1, 4, 4, 2))], r"1 or 3.*\(1, 4, 4, 2\)"),
        ("image_grid", [IMAGES[:0]], "at least one image"),
        ("image_grid", [IMAGES.astype("uint8")], "floats.*uint8"),
        ("image_grid", [IMAGES + np.nan], "finite.*288"),
        ("image_grid", [IMAGES, 0], "`columns`.*0"),
        ("image_grid", [IMAGES, 1, -1], "`padding`.*-1"),
        ("image_grid", [IMAGES, 1, 1, 1.5], "`scale`.*1.5"),
        ("reconstruction_grid", [IMAGES, IMAGES[:3]], "one shape.*4, 6.*3, 6"),
        ("comparison_grid", [[IMAGES] * 2, ["a"]], "1 labels for 2 sets"),
        (
            "atom_grid",
            [np.zeros((3, 3, 16, 2))],
            r"pixel_atoms.*\(3, 3, 16, 2\)",
        ),
        ("atom_grid", [KERNEL, None, 0], "`maximum`.*0"),
        ("similarity_matrix", [np.ones((4, 2)), [0]], r"\(4, 2\) and \(1,\)"),
        ("save_png", ["a.png", np.zeros((4, 4, 3))], "dtype=float64"),
        ("save_png", ["a.png", np.zeros((4, 4), "uint8")], r"shape=\(4, 4\)"),
    ],
)
def test_arguments(name, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        getattr(visualization, name)(*arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name, wrong, message",
    [
        ("growing_picture", {"stage": 3}, "`stage`.*at most 2.*3"),
        ("growing_picture", {"side": 0}, "`side`.*0"),
        ("growing_picture", {"counts": [3, 2]}, "rise"),
        ("strongest_atoms", {"maximum": 0}, "`maximum`.*0"),
        ("found_and_drawn", {"maximum": 0}, "`maximum`.*0"),
    ],
)
def test_explanations(name, wrong, message):
    found = small_autoencoder().explain(np.full((8, 8, 1), 0.5))
    with pytest.raises(ValueError, match=message):
        getattr(visualization, name)(found, **wrong)
