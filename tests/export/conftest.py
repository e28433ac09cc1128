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
    model = tiny_model()
    base = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        base = base.parent
    folder = base / "saved_models" / "tiny"
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
