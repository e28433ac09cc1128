import types

import pytest

from keras_csc.export import export_saved_model
from tests.helpers.exporting import tiny_model


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """A model and its SavedModel."""
    model = tiny_model()
    folder = tmp_path_factory.mktemp("saved_models") / "tiny"
    card = {
        "training": {
            "steps": 3,
            "hardware": {"cores": 2, "gpu": None},
            "sessions": [{"seconds": 0.25}, {"seconds": 1e-9}],
        },
        "limits": ["Seen | by nobody."],
    }
    path = export_saved_model(model, folder, card=card)
    return types.SimpleNamespace(model=model, folder=folder, path=path)
