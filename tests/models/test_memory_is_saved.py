"""The memory of a game comes back with a model."""

import warnings

import h5py
import keras
import numpy as np
import pytest

from keras_csc.callbacks import CheckpointError
from keras_csc.callbacks import NonFiniteError
from keras_csc.callbacks import TrainingCheckpoint
from keras_csc.losses import TranscriptionGame
from tests.helpers.reference_loop import CLASSES
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import small_batch


def trained(**game):
    keras.utils.set_random_seed(0)
    model = small_autoencoder()
    game = {"objective": "multi", "num_classes": CLASSES, **game}
    model.compile("sgd", game=TranscriptionGame(memory=0.75, **game))
    model.decoder.calibrate(small_batch()[0])
    model.train_step(small_batch())
    return model


@pytest.fixture(scope="module")
def model():
    return trained()


def memories(model):
    return {n: v.numpy() for n, v in model.moment_memory.variables.items()}


def check_equal(found, expected):
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert np.any(value)
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float64"])
def test_a_memory_has_no_half_precision(policy):
    model = small_autoencoder(dtype=policy)
    model.compile(game=TranscriptionGame(memory=0.75))
    expected = "float64" if policy == "float64" else "float32"
    assert {v.dtype for v in model.moment_memory.variables.values()} == {
        expected
    }


def test_keras_files_hold_the_memory(model, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    check_equal(memories(loaded), memories(model))


def test_checkpoints_hold_the_memory(model, tmp_path):
    checkpoint = TrainingCheckpoint(tmp_path, every_steps=1)
    checkpoint.set_model(model)
    checkpoint.save(1)
    expected = memories(model)
    model.train_step(small_batch(1))
    assert TrainingCheckpoint(tmp_path).restore(model) == 1
    check_equal(memories(model), expected)


def test_a_memory_that_is_not_finite_is_neither_saved_nor_restored(tmp_path):
    model = trained()
    checkpoint = TrainingCheckpoint(tmp_path)
    checkpoint.set_model(model)
    model.moment_memory.variables["real"].assign(
        np.full((CLASSES, 5, 5), np.nan)
    )
    with pytest.raises(NonFiniteError, match="'memory_real' is not finite"):
        checkpoint.save(1)
    assert checkpoint.steps() == []
    checkpoint.write_folder(checkpoint.path(1))
    with pytest.raises(CheckpointError):
        checkpoint.restore()


def test_presets_hold_neither_it_nor_optimizers(model, tmp_path):
    """And their weights go into a model with a memory of its own, too."""
    model.save_to_preset(tmp_path / "preset")
    weights = tmp_path / "preset" / "model.weights.h5"
    with h5py.File(weights) as file:
        assert set(file) <= {"encoder", "decoder", "vars"}
        assert not file["vars"].keys()
    other = trained()
    expected = memories(other)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optimizers stay as they are.
        other.load_weights(weights)
    check_equal(memories(other), expected)
    for one, same in zip(other.weights, model.weights):
        np.testing.assert_array_equal(one, same)


def test_a_memory_of_another_game_starts_anew(model, tmp_path):
    other = trained(objective="binary")
    model.save_weights(tmp_path / "other.weights.h5")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optimizers stay as they are.
        other.load_weights(tmp_path / "other.weights.h5")
    for one, same in zip(other.weights, model.weights):
        np.testing.assert_array_equal(one, same)
    assert not any(np.any(value) for value in memories(other).values())
