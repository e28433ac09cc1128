import os
import pathlib
import types

import keras
import pytest

from keras_csc.export import export_saved_model
from keras_csc.export import saved_model
from keras_csc.files import locked
from tests.helpers.exporting import tiny_model


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """A model and its SavedModel, which all processes of the tests share."""
    return _export(tmp_path_factory, "tiny", tiny_model())


@pytest.fixture(scope="session")
def exported_maps(tmp_path_factory):
    """The same with features that keep their place, in colour."""
    model = tiny_model(features="map", image_shape=(16, 16, 3))
    return _export(tmp_path_factory, "maps", model)


def _export(tmp_path_factory, name, model):
    base = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        base = base.parent
    folder = base / "saved_models" / name
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
            def write_out(self, path, verbose):
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
