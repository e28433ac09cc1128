"""The memory of a game comes back with a model."""

import warnings

import h5py
import keras
import numpy as np

from keras_csc.callbacks import TrainingCheckpoint
from keras_csc.losses import TranscriptionGame
from tests.helpers.reference_loop import CLASSES
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import small_batch


def trained():
    keras.utils.set_random_seed(0)
    model = small_autoencoder(split=True)
    game = TranscriptionGame(num_classes=CLASSES, class_features=3, memory=0.75)
    model.compile(game=game)
    model.train_step(small_batch())
    return model


def memories(model):
    return {n: v.numpy() for n, v in model.memory.variables.items()}


def check_equal(found, expected):
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert np.any(value)
        np.testing.assert_array_equal(found[name], value)


def test_keras_files_hold_the_memory(tmp_path):
    model = trained()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    check_equal(memories(loaded), memories(model))


def test_checkpoints_hold_the_memory(tmp_path):
    model = trained()
    checkpoint = TrainingCheckpoint(tmp_path, every_steps=1)
    checkpoint.set_model(model)
    checkpoint.save(1)
    expected = memories(model)
    model.train_step(small_batch(1))
    assert TrainingCheckpoint(tmp_path).restore(model) == 1
    check_equal(memories(model), expected)


def test_presets_hold_neither_it_nor_optimizers(tmp_path):
    """And their weights go into a model with a memory of its own, too."""
    model = trained()
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
