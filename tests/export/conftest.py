import pathlib
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_csc.export import export_saved_model
from keras_csc.export import saved_model
from keras_csc.files import locked
from keras_csc.restoration import SparseDenoiser
from tests.helpers.exporting import tiny_model


class Exported:
    """A model and its SavedModel.

    Args:
        model: the `ClosedLoopAutoencoder`.
        path: `pathlib.Path` of the version.
    """

    def __init__(self, model, path):
        self.model = model
        self.path = path
        self.card = (path / "card.md").read_text(encoding="utf-8")
        self._loaded = tf.saved_model.load(path)  # has the variables
        self.signatures = self._loaded.signatures

    def ask(self, name, **inputs):
        """Dict of arrays, what a signature answers."""
        function = self.signatures[name]
        specs = function.structured_input_signature[1]
        tensors = {
            key: tf.constant(value, specs[key].dtype)
            for key, value in inputs.items()
        }
        return {key: v.numpy() for key, v in function(**tensors).items()}


@pytest.fixture(scope="session")
def exported(shared_folder):
    """Of vectors, with a density of the classes 0, 1 and 3.

    All processes of the tests share it.
    """
    model = tiny_model()
    images = np.random.default_rng(0).uniform(-1, 1, (90, 16, 16, 1))
    labels = np.array([0, 1, 3])[np.arange(90) % 3]
    model.fit_density(images.astype("float32"), labels)
    return _export(shared_folder, "tiny", model)


@pytest.fixture(scope="session")
def exported_maps(shared_folder):
    """Of features that keep their place, in colour."""
    model = tiny_model(features="map", image_shape=(16, 16, 3))
    return _export(shared_folder, "maps", model)


@pytest.fixture(scope="session")
def exported_denoiser(shared_folder):
    """A denoiser, its SavedModel and the path."""
    keras.utils.set_random_seed(0)
    denoiser = SparseDenoiser(8, iterations=2)
    path = shared_folder / "denoiser" / "1"
    path.parent.mkdir(exist_ok=True)
    with locked(path.with_name("lock")):
        if not path.exists():
            export_saved_model(denoiser, path.parent)
    return denoiser, tf.saved_model.load(path), path


def _export(shared_folder, name, model):
    folder = shared_folder / "saved_models" / name
    folder.parent.mkdir(exist_ok=True)
    card = {
        "training": {
            "steps": 3,
            "hardware": {"cores": 2, "gpu": None},
            "sessions": [{"seconds": 0.25}, {"seconds": 1e-9}],
        },
        "limits": ["Seen | by nobody."],
    }
    with locked(folder.with_name("lock")):
        if not (folder / "1").exists():
            export_saved_model(model, folder, card=card)
    return Exported(model, folder / "1")


@pytest.fixture(scope="module")
def model():
    """A model of whose exports only the folders matter."""
    return tiny_model()


@pytest.fixture
def archive(monkeypatch):
    """Returns a function: exports write as the one that it is given.

    Only their folders are real: there are no signatures to trace.
    """

    def replace(write):
        class Archive:
            def write_out(self, path, verbose):
                write(pathlib.Path(path))

        monkeypatch.setattr(keras.export, "ExportArchive", Archive)
        monkeypatch.setattr(saved_model, "signatures", lambda model: {})

    return replace


@pytest.fixture
def stubbed(archive, monkeypatch):
    """Exports in which only the folders and the card are real."""
    loaded = types.SimpleNamespace(signatures={})
    monkeypatch.setattr(tf.saved_model, "load", lambda folder: loaded)
    archive(lambda path: (path / "saved_model.pb").write_bytes(b"a graph"))
