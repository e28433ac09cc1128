import pathlib
import sys
import types

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import pytest
from exporting import tiny_model

from keras_csc.export import export_saved_model


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
