"""The scripts of `examples/`, in little."""

import importlib.util
import pathlib

import numpy as np
import pytest

import keras_csc
from keras_csc.pixels import from_pixels
from keras_csc.pixels import to_pixels
from keras_csc.visualization import save_png

FOLDER = pathlib.Path(__file__).parents[1] / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_tested_here():
    assert sorted(path.stem for path in FOLDER.glob("*.py")) == [
        "classifier",
        "custom_loop",
        "retrieval",
    ]


def test_both_classifiers_learn():
    accuracies = example("classifier").main(epochs=3)
    assert min(accuracies.values()) > 0.6


def test_a_loop_of_ones_own_plays_the_game():
    distances = example("custom_loop").main(steps=3, batch_size=64)
    assert np.all(np.isfinite(distances)) and min(distances) > 0


def test_an_image_is_found_in_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = keras_csc.data.open_dataset("digits", "test", (16, 16, 1))
    images = from_pixels(keras_csc.data.load_arrays(source, 12)[0])
    folder = tmp_path / "images" / "train"
    folder.mkdir(parents=True)
    for number, image in enumerate(images):
        pixels = to_pixels(image).repeat(3, -1)
        save_png(folder / f"{number:02}.png", pixels)
    query = str(folder / "03.png")
    more = [str(folder.parent), "--preset=csc_ctrl_digits", "--count=3"]
    main = example("retrieval").main
    cosines = main([query, *more])
    assert cosines[0] == pytest.approx(1, abs=1e-5)
    assert np.all(np.diff(cosines) <= 0) and cosines[1] < 0.999
    assert (tmp_path / "retrieval.png").is_file()
    for wrong in ([query, *more], ["none.png", *more, "--output=new.png"]):
        with pytest.raises(SystemExit) as error:
            main(wrong)
        assert error.value.code == 2
    assert not (tmp_path / "new.png").exists()
