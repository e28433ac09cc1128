import os
import pathlib
import subprocess
import sys
import types

import keras
import numpy as np
import pytest

from keras_csc.export import export_saved_model
from keras_csc.models import ClosedLoopAutoencoder

ROOT = pathlib.Path(__file__).parents[2]


def tiny_model(seed=0, **overrides):
    """A model whose statistics and scales are not the initial ones."""
    keras.utils.set_random_seed(seed)
    arguments = {"filters": (4, 8), "feature_dim": 8, **overrides}
    model = ClosedLoopAutoencoder.from_preset("digits", **arguments)
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.name in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.3, 1.5, weight.shape))
        elif weight.name in ("beta", "moving_mean"):
            weight.assign(rng.uniform(-0.3, 0.3, weight.shape))
    return model


def run_python(arguments, **kwargs):
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        **kwargs,
    )


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """A model and its SavedModel."""
    model = tiny_model()
    folder = tmp_path_factory.mktemp("saved_models") / "tiny"
    card = {
        "training": {"steps": 3, "hardware": {"cores": 2, "gpu": None}},
        "limits": ["Seen | by nobody."],
    }
    path = export_saved_model(model, folder, card=card)
    return types.SimpleNamespace(model=model, folder=folder, path=path)
