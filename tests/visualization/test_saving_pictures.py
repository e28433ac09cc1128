import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from keras_csc.visualization import save_figure
from keras_csc.visualization import save_png


def random_picture(seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (9, 7, 3)).astype("uint8")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_png_round_trip_in_a_new_folder(tmp_path):
    path = tmp_path / "runs" / "first" / "grid.png"
    picture = random_picture()
    save_png(str(path), picture)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), picture)
    assert names(path.parent) == ["grid.png"]


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_figure_formats(tmp_path, suffix):
    signature = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix]
    path = tmp_path / f"figure.{suffix}"
    save_figure(path, Figure(figsize=(1, 1)))
    assert path.read_bytes().startswith(signature)
    assert names(tmp_path) == [path.name]
