"""The guard against numbers that are not finite."""

import itertools
import math

import keras
import tensorflow as tf


class NonFiniteError(Exception):
    """A term or a weight is not finite; the message names it and the step."""


class StopOnNonFinite(keras.callbacks.Callback):
    """Stops training with a `NonFiniteError` when a logged term is not finite.

    Looks at the logs at the end of every epoch (of every logging interval in
    `training/train.py`), before anything of it is saved.
    `TrainingCheckpoint` looks at what it is about to save by itself.
    """

    def on_epoch_end(self, epoch, logs=None):
        _check_terms(logs or {}, self.model.step)


def _check_terms(terms, step):
    for name, value in terms.items():
        if not math.isfinite(float(value)):
            raise NonFiniteError(
                f"The term {name!r} is {float(value)} at step {step}. "
                "Nothing of it is saved. Lower the learning rates or the "
                "weights of the game."
            )


def check_state(model):
    """Raises a `NonFiniteError` unless a model in training is finite.

    Looks at the terms since the last logs, to name the cause, and then at the
    weights, the optimizers' state and the game's memory. Not at the terms if
    there are several workers, which would all have to take part.
    """
    step, strategy = model.step, model.distribute_strategy
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        _check_terms({m.name: m.result() for m in model.train_metrics}, step)
    name = non_finite(itertools.chain(*state_of(model).values()))
    if name:
        raise NonFiniteError(
            f"The weight {name!r} is not finite at step {step}. Nothing of it "
            "is saved. Lower the learning rates or the weights of the game."
        )


def state_of(model):
    """Lists of the variables of a model in training, by where they belong."""
    memory = model.memory.variables.values() if model.memory else ()
    return {
        "model": list(model.weights),
        "memory": list(memory),
        "optimizers": [v for each in model.optimizers for v in each.variables],
    }


def non_finite(variables):
    """Path of the first Keras variable that is not finite, or `None`."""
    for variable in variables:
        value = tf.convert_to_tensor(variable.value)
        if value.dtype.is_floating and not tf.reduce_all(
            tf.math.is_finite(value)
        ):
            return variable.path
    return None
