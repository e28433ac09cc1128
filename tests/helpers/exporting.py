"""A tiny model, and processes of their own."""

import os
import pathlib
import subprocess
import sys
from unittest import mock

import keras
import numpy as np

from keras_csc.export.graph import write_graph
from keras_csc.export.saved_model import signatures
from keras_csc.export.signatures import DEFAULT
from keras_csc.models import ClosedLoopAutoencoder

ROOT = pathlib.Path(__file__).parents[2]


def tiny_model(seed=0, **overrides):
    """A model whose statistics and scales are not the initial ones."""
    keras.utils.set_random_seed(seed)
    arguments = {"filters": (4, 8), "feature_dim": 8, "sparsity": 0.05}
    arguments |= {"iterations": 2}  # lapped, as the preset is
    arguments |= overrides
    model = ClosedLoopAutoencoder.from_preset(
        "digits", load_weights=False, **arguments
    )
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.name in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.3, 1.5, weight.shape))
        elif weight.name in ("beta", "moving_mean"):
            weight.assign(rng.uniform(-0.05, 0.05, weight.shape))
    return model


def one_signature(model):
    """In the place of all, where what is written matters, and not what of."""
    return {DEFAULT: signatures(model)[DEFAULT]}


def to_onnx(model, folder, *names):
    """Writes signatures as `NAME.onnx` in a folder, by the line of the docs."""
    from tf2onnx import convert

    endpoints = {name: signatures(model)[name] for name in names}
    write_graph(endpoints, folder / "saved", model.weights)
    for name in names:
        line = ["tf2onnx", "--saved-model", str(folder / "saved")]
        line += ["--signature_def", name]
        line += ["--output", str(folder / f"{name}.onnx")]
        with mock.patch.object(sys, "argv", line):
            convert.main()


def of_onnx(path, **inputs):
    """Dict of what a file's model answers in ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path))
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs)))


def run_python(arguments, environment=(), **kwargs):
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        **dict(environment),
    }
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=environment,
        **{"text": True, "capture_output": True, "timeout": 600, **kwargs},
    )
