"""The scripts of `examples/`, in little."""

import importlib.util
import pathlib

import numpy as np
import pytest
import tensorflow as tf

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


def test_both_classifiers_learn():
    accuracies = example("classifier").main(epochs=2)
    assert min(accuracies.values()) > 0.6


def test_a_loop_of_ones_own_plays_the_game():
    # Tracing a step takes longer than the step.
    tf.config.run_functions_eagerly(True)
    try:
        distances = example("custom_loop").main(steps=1, batch_size=32)
    finally:
        tf.config.run_functions_eagerly(False)
    assert np.all(np.isfinite(distances)) and min(distances) > 0


def test_an_image_is_found_in_its_folder(tmp_path, monkeypatch, capsys):
    """Wherever in the folder it is."""
    monkeypatch.chdir(tmp_path)
    source = keras_csc.data.open_dataset("digits", "test", (16, 16, 1))
    images = from_pixels(keras_csc.data.load_arrays(source, 12)[0])
    folder = tmp_path / "images"
    for number, image in enumerate(images):
        part = folder / ("train", "test", "more")[number % 3]
        part.mkdir(parents=True, exist_ok=True)
        pixels = to_pixels(image).repeat(3, -1)
        save_png(part / f"{number:02}.png", pixels)
    query = str(folder / "test" / "04.png")
    more = [str(folder), "--preset=csc_ctrl_digits", "--count=3"]
    main = example("retrieval").main
    cosines = main([query, *more])
    assert cosines[0] == pytest.approx(1, abs=1e-5)
    assert np.all(np.diff(cosines) <= 0) and cosines[1] < 0.999
    assert capsys.readouterr().out.splitlines()[0] == "1.000  test/04.png"
    assert (tmp_path / "retrieval.png").is_file()
    all_of_them = [query, *more, "--count=99", "--output=all.png"]
    assert len(main(all_of_them)) == 12
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.png").write_text("no image")
    new = "--output=new.png"
    for wrong, said in (
        ([query, *more], "is there already"),
        (["text.png", *more, new], "no image"),
        ([query, "empty", *more[1:], new], "no images"),
        ([query, *more, new, "--preset=csc_ctrl_photographs"], "no vector"),
    ):
        with pytest.raises(SystemExit) as error:
            main(wrong)
        assert error.value.code == 2
        assert said in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "new.png").exists()
