"""Checkpoints that are passed over, and the steps of those that are saved."""

import pytest

from keras_csc.callbacks import TrainingCheckpoint
from tests.helpers.reference_loop import sgd
from tests.helpers.reference_loop import small_autoencoder


@pytest.fixture
def model():
    model = small_autoencoder()
    model.compile(sgd(), sgd(), run_eagerly=True)
    return model


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_passed_over_twice_is_set_aside_once(tmp_path, model):
    checkpoint = TrainingCheckpoint(tmp_path)
    checkpoint.set_model(model)
    checkpoint.save(0)
    checkpoint.path(5).mkdir()
    assert checkpoint.restore() == checkpoint.restore() == 0
    checkpoint.save(7)
    expected = ["damaged-step-00000005", "step-00000000", "step-00000007"]
    assert names(tmp_path) == expected
