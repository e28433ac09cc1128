"""Checkpoints that are complete, finite and found again."""

import itertools
import math
import os
import pathlib
import re
import time

import keras
import tensorflow as tf

from keras_csc.files import remove
from keras_csc.terminal import say
from keras_csc.validation import plain


class NonFiniteError(Exception):
    """A term or a weight is not finite; the message names it and the step."""


class StopOnNonFinite(keras.callbacks.Callback):
    """Stops training with a `NonFiniteError` when a logged term is not finite.

    Looks at the logs at the end of every epoch or logging interval, before
    anything of it is saved.
    """

    def on_epoch_end(self, epoch, logs=None):
        _check_terms(logs or {}, steps_taken(self.model))


def _check_terms(terms, step):
    for name, value in terms.items():
        if not math.isfinite(float(value)):
            raise NonFiniteError(
                f"The term {name!r} is {float(value)} at step {step}. "
                "Nothing of it is saved. Lower the learning rates or the "
                "weights of the objective."
            )


def check_state(model):
    """Raises a `NonFiniteError` unless a model in training is finite.

    It first looks at the terms since the last logs, to name the cause. With
    several workers it does not, as all of them would have to take part. Then it
    looks at all state.
    """
    step, strategy = steps_taken(model), model.distribute_strategy
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        _check_terms(terms_of(model), step)
    name = non_finite(itertools.chain(*state_of(model).values()))
    if name:
        raise NonFiniteError(
            f"The weight {name!r} is not finite at step {step}. Nothing of it "
            "is saved. Lower the learning rates or the weights of the "
            "objective."
        )


# A `ClosedLoopAutoencoder` has its own count, terms, memory and optimizers.


def steps_taken(model):
    """Number of training steps that a compiled Keras model has taken."""
    own = hasattr(model, "step")
    return model.step if own else int(model.optimizer.iterations)


def terms_of(model):
    """Means of a model's terms since its metrics were reset, by name."""
    if not hasattr(model, "train_metrics"):
        return model.get_metrics_result()
    return {m.name: m.result() for m in model.train_metrics}


def state_of(model):
    """Lists of variables by owner; of a compiled model, all of its state."""
    if not model.compiled:
        return {"model": list(model.weights)}
    memory = getattr(model, "moment_memory", None)
    optimizers = getattr(model, "optimizers", None) or [model.optimizer]
    if optimizers == [model.optimizer] and not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return {
        "model": list(model.weights),
        "memory": list(memory.variables.values()) if memory else [],
        "optimizers": [v for each in optimizers for v in each.variables],
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


KEPT = 3  # the newest checkpoints
# What TensorFlow raises for files that are damaged, cut short or missing.
READ_ERRORS = (tf.errors.OpError, AssertionError, IndexError, ValueError)


class CheckpointError(Exception):
    """A checkpoint that can't be written or read; the message says why."""


class TrainingCheckpoint(keras.callbacks.Callback):
    """Saves and restores a Keras model in training.

    A checkpoint is a folder `FOLDER/step-00001000` with the weights, the memory
    of a game and the state of the optimizers, step counts included. It is
    written under a temporary name and renamed: it is complete or absent.
    TensorFlow's format has checksums, so that damage is found. The checkpoints
    of the latest three steps stay, and the one that was just written. `restore`
    goes back to the newest checkpoint that can be read and is finite. The next
    save renames the damaged ones to `damaged-step-...`. A model that is not
    finite is never saved.

    Args:
        folder: where the checkpoints are.
        every_steps: int, steps between checkpoints, or `None`. They come at the
            end of the execution that reaches a multiple of it.
        every_minutes: float, minutes between checkpoints, or `None`.
        write: bool, `False` on workers that only read.
    """

    def __init__(
        self, folder, every_steps=None, every_minutes=None, write=True
    ):
        super().__init__()
        self.folder = pathlib.Path(folder)
        self.every_steps = every_steps
        self.every_minutes = every_minutes
        self.write = write
        self._saved_at = time.monotonic()
        self._saved_step = self._most = 0
        self._passed_over = []

    def steps(self):
        """Steps of the checkpoints that exist, oldest first."""
        return [step_of(path) for path in found(self.folder)]

    def path(self, step):
        return self.folder / f"step-{step:08d}"

    def restore(self, model=None):
        """Restores the newest checkpoint that can be read.

        Args:
            model: a Keras model, by default the callback's. A model that is
                not compiled gets only the weights.

        Returns:
            The checkpoint's step, or 0 if there is no checkpoint.

        Raises:
            CheckpointError: if there are checkpoints, and none can be read.
        """
        if model is not None:
            self.set_model(model)
        self._passed_over = []
        for path in reversed(found(self.folder)):
            try:
                self.read(path)
                return step_of(path)
            except CheckpointError as error:
                say(f"{error} It is passed over.")
                self._passed_over.append(path)
        if self._passed_over:
            raise CheckpointError(
                f"None of the {len(self._passed_over)} checkpoints in "
                f"{self.folder} can be read. Remove that folder to start again "
                "from step 0."
            )
        return 0

    def read(self, path):
        """Restores the checkpoint in a folder; see `restore` for errors."""
        model, state = self.model, state_of(self.model)
        model.density = None
        try:
            status = _checkpoint(state).read(str(path / "checkpoint"))
            if model.compiled:
                status.assert_consumed()
            else:
                status.assert_existing_objects_matched().expect_partial()
        except READ_ERRORS as error:
            raise CheckpointError(
                f"The checkpoint {path} can't be read: {plain(error)}."
            ) from error
        if name := non_finite(itertools.chain(*state.values())):
            raise CheckpointError(
                f"The checkpoint {path} holds a weight that is not finite: "
                f"{name}."
            )
        if model.compiled and steps_taken(model) != step_of(path):
            raise CheckpointError(
                f"The checkpoint {path} is of step {steps_taken(model)}, not "
                "of the step in its name."
            )

    def save(self, step):
        """Writes a checkpoint now, unless that step has one.

        Raises:
            NonFiniteError: if the model is not finite.
            CheckpointError: if the checkpoint can't be written.
        """
        self._saved_at = time.monotonic()
        self._saved_step = step
        check_state(self.model)
        if not self.write:
            return
        for path in self._passed_over:
            set_aside(path)
        self._passed_over = []
        path = self.path(step)
        if path.is_dir():
            return
        if os.path.lexists(path):  # a file, or a link to nothing
            set_aside(path)
        self.write_folder(path)
        for old in found(self.folder)[:-KEPT]:
            if old != path:  # another run may have saved later steps
                remove(old)

    def write_folder(self, path):
        """Writes a checkpoint to a new folder, complete or not at all."""
        temporary = path.with_name(f".{path.name}.partial")
        try:
            remove(temporary)
            temporary.mkdir(parents=True)
            checkpoint = _checkpoint(state_of(self.model))
            checkpoint.write(str(temporary / "checkpoint"))
            temporary.rename(path)
        except (OSError, tf.errors.OpError) as error:
            remove(temporary)
            raise CheckpointError(
                f"The checkpoint {path} can't be written: {plain(error)}. "
                "Make room or give write access, and run the same command "
                "again."
            ) from error

    def on_train_begin(self, logs=None):
        self._saved_step = self._most = steps_taken(self.model)

    def on_train_batch_end(self, batch, logs=None):
        self._most += self.model.steps_per_execution  # to read it is to wait
        # Saves before a stop, as what records the stop may fail.
        if self.is_due() or self.model.stop_training:
            self.save(steps_taken(self.model))

    def is_due(self):
        """Whether to save the current step, or one of the same execution."""
        minutes = (time.monotonic() - self._saved_at) / 60
        late = self.every_minutes and minutes >= self.every_minutes
        every, saved = self.every_steps, self._saved_step
        if every and self._most // every > saved // every:
            self._most = steps_taken(self.model)
        passed = every and self._most // every > saved // every
        return bool(late or passed)

    def on_train_end(self, logs=None):
        self.save(steps_taken(self.model))


def _checkpoint(state):
    # Lists of variables: TensorFlow does not see into layers that a Keras model
    # holds in a list.
    return tf.train.Checkpoint(
        **{name: [v.value for v in listed] for name, listed in state.items()}
    )


def set_aside(path):
    """Renames a checkpoint that can't be read, so that it is passed over."""
    other = path.with_name(f"damaged-{path.name}")
    remove(other)
    path.rename(other)


def found(folder):
    """Folders of the checkpoints, as `step-00001000`, oldest first."""
    paths = [p for p in folder.glob("step-*") if step_of(p) is not None]
    return sorted(paths, key=step_of)


def step_of(path):
    """The step in the name of a checkpoint's folder; `None` for other paths."""
    match = re.fullmatch(r"step-(\d{8}|[1-9]\d{8,})", path.name)
    return int(match.group(1)) if match and path.is_dir() else None
