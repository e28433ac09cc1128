import pathlib
import types

import keras
import numpy as np
import pytest

from keras_csc.export import export_saved_model
from keras_csc.export import saved_model
from keras_csc.files import locked
from tests.helpers.exporting import tiny_model


@pytest.fixture(scope="session")
def exported(shared_folder):
    """A model and its SavedModel, which all processes of the tests share."""
    return _export(shared_folder, "tiny", tiny_model())


@pytest.fixture(scope="session")
def exported_density(shared_folder):
    """The same with a density of its features, of classes 0, 1 and 3."""
    model = tiny_model()
    images = np.random.default_rng(0).uniform(-1, 1, (90, 16, 16, 1))
    labels = np.array([0, 1, 3])[np.arange(90) % 3]
    model.fit_density(images.astype("float32"), labels)
    return _export(shared_folder, "density", model)


@pytest.fixture(scope="session")
def exported_maps(shared_folder):
    """The same with features that keep their place, in colour."""
    model = tiny_model(features="map", image_shape=(16, 16, 3))
    return _export(shared_folder, "maps", model)


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
    path = folder / "1"
    with locked(folder.with_name("lock")):
        if not path.exists():
            export_saved_model(model, folder, card=card)
    return types.SimpleNamespace(model=model, folder=folder, path=path)


@pytest.fixture
def archive(monkeypatch):
    """Returns a function: exports write as the one that it is given.

    Only their folders are real: there are no signatures to trace.
    """

    def replace(write):
        class Archive:
            def write_out(self, path, options, verbose):
                write(pathlib.Path(path))

        monkeypatch.setattr(keras.export, "ExportArchive", Archive)
        monkeypatch.setattr(saved_model, "signatures", lambda model: {})

    return replace


@pytest.fixture
def stubbed(archive, monkeypatch):
    """Exports in which only the folders and the card are real."""

    def verify(path, model, tolerance):
        return types.SimpleNamespace(signatures={})

    monkeypatch.setattr(saved_model, "verify_saved_model", verify)
    archive(lambda path: (path / "saved_model.pb").write_bytes(b"a graph"))
