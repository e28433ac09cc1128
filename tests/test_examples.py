"""What is in `examples/`, in little."""

import importlib.util
import json
import pathlib

import numpy as np
import tensorflow as tf

FOLDER = pathlib.Path(__file__).parents[1] / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_coding_layers_stand_where_convolutions_stood():
    """Of as many weights; a coding layer stores its bound besides."""
    classify = example("classify")
    (images, labels), _ = classify.digits()
    counts = []
    for coding in (True, False):
        model = classify.classifier((8, 8, 1), classify.DIGITS, coding)
        history = classify.compiled(model).fit(
            images[:200], labels[:200], verbose=0
        )
        assert np.isfinite(history.history["loss"]).all()
        counts.append(model.count_params())
    assert counts[0] == counts[1] + len(classify.DIGITS)


def test_a_loop_of_ones_own_plays_the_game():
    # Tracing a step takes longer than the step.
    tf.config.run_functions_eagerly(True)
    try:
        distances = example("custom_loop").main(steps=1, batch_size=32)
    finally:
        tf.config.run_functions_eagerly(False)
    assert np.all(np.isfinite(distances)) and min(distances) > 0


def test_the_notebook_runs_once_it_is_installed():
    cells = json.loads((FOLDER / "ten_minutes.ipynb").read_text())["cells"]
    codes = ["".join(x["source"]) for x in cells if x["cell_type"] == "code"]
    names = {}
    for code in codes[1:]:
        exec(code.replace("epochs=60", "epochs=1, steps_per_epoch=1"), names)
    assert np.std(names["denoised"] - names["photograph"]) < 0.05
