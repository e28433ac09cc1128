"""Checkpoints that are passed over, and the steps of those that are saved."""

import keras
import numpy as np
import pytest

from keras_csc.callbacks import TrainingCheckpoint
from tests.helpers.reference_loop import sgd
from tests.helpers.reference_loop import small_autoencoder


@pytest.fixture
def model():
    model = small_autoencoder()
    model.compile(sgd(), run_eagerly=True)
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


def test_a_new_checkpoint_stays_beside_those_of_later_steps(tmp_path, model):
    checkpoint = TrainingCheckpoint(tmp_path)
    checkpoint.set_model(model)
    for step in (10, 20, 30, 40, 5):
        checkpoint.save(step)
    assert checkpoint.steps() == [5, 20, 30, 40]


@pytest.mark.parametrize(
    "first, at_once, expected",
    [
        (0, 1, [10, 20, 30]),
        (7, 1, [10, 20, 30]),
        (7, 8, [15, 23, 31]),
        (0, 15, [15, 30]),
    ],
)
def test_steps_between_checkpoints(tmp_path, model, first, at_once, expected):
    """Of a run from a step on, with `at_once` steps an execution."""
    checkpoint = TrainingCheckpoint(tmp_path, every_steps=10)
    steps = model.optimizer.iterations
    steps.assign(first)
    model.steps_per_execution = at_once
    callbacks = keras.callbacks.CallbackList([checkpoint], model=model)
    callbacks.on_train_begin()
    for step in range(first + at_once, 33, at_once):
        steps.assign(step)
        callbacks.on_train_batch_end(step)
    assert checkpoint.steps() == expected


def test_a_plain_model_is_restored_before_its_first_fit(tmp_path):
    images, targets = np.ones((4, 3), "float32"), np.ones((4, 2), "float32")
    models = []
    for _ in range(2):
        dense = keras.layers.Dense(2)
        models.append(keras.Sequential([keras.Input((3,)), dense]))
        models[-1].compile("adam", "mse")
    saved, model = models
    checkpoint = TrainingCheckpoint(tmp_path, every_steps=1)
    saved.fit(images, targets, batch_size=2, callbacks=[checkpoint], verbose=0)
    assert TrainingCheckpoint(tmp_path).restore(model) == 2
    for one, other in zip(saved.get_weights(), model.get_weights()):
        np.testing.assert_array_equal(one, other)
