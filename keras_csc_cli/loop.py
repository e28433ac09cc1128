"""The training loop: steps, callbacks, and signals to stop."""

import contextlib
import signal
import time

from keras_csc_cli import interruption
from keras_csc_cli.interruption import Interrupted

import keras
import tensorflow as tf


class InputError(Exception):
    """A batch can't be read; the message says why."""


def train(model, batches, steps, log_every, callbacks, strategy):
    """Trains a model from its current step to `steps`.

    Calls Keras callbacks as `fit` does, with a logging interval for an epoch:
    `on_epoch_end` is given the means of the interval's terms, and
    `input_wait`, the share of its time that was spent waiting for images.
    Intervals end at multiples of `log_every`.

    Args:
        model: compiled `ClosedLoopAutoencoder`.
        batches: distributed dataset of global batches, from the model's
            current step on.
        steps: int, the step to stop at.
        log_every: int, steps of an interval.
        callbacks: list of Keras callbacks.
        strategy: the `tf.distribute` strategy that `model` was made under.

    Raises:
        Interrupted: after SIGTERM or Ctrl-C, when the callbacks' `on_train_end`
            have been called.
        InputError: if a batch can't be read.
    """
    callbacks = keras.callbacks.CallbackList(callbacks, model=model)

    @tf.function(autograph=False, reduce_retracing=True)
    def run(batch, stop):
        strategy.run(model.train_step, (batch,))
        return strategy.reduce("MEAN", stop, axis=None)

    def train_step(batch):
        # When one worker is told to stop, all do after the same step.
        if run(batch, tf.constant(float(bool(received)))) > 0:
            agreed.append(received[0] if received else signal.SIGTERM)
            model.stop_training = True

    agreed = []
    model.stop_training = False
    with interruption.held() as received, _errors_first(received):
        step = model.step
        callbacks.on_train_begin()
        iterator = iter(batches)
        while step < steps and not agreed:
            end = min(step - step % log_every + log_every, steps)
            logs = _interval(
                train_step, iterator, callbacks, model, end, agreed
            )
            step = model.step
            callbacks.on_epoch_end(step, logs)
        callbacks.on_train_end()
    for number in [*agreed, *received][:1]:
        raise Interrupted(
            number, f"stopped at step {model.step}, which is saved"
        )


@contextlib.contextmanager
def _errors_first(received):
    """An error within the context is not that of a signal that is only noted.

    Of a second one, which is obeyed at once, it may be.
    """
    try:
        yield
    except Exception:
        if len(received) == 1:
            received.clear()
        raise


def _interval(train_step, iterator, callbacks, model, end, stopped):
    for metric in model.train_metrics:
        metric.reset_state()
    began, waited = time.monotonic(), 0.0
    for step in range(model.step, end):
        asked = time.monotonic()
        batch = _next(iterator)
        waited += time.monotonic() - asked
        train_step(batch)
        callbacks.on_train_batch_end(step)
        if stopped:
            break
    logs = {m.name: float(m.result()) for m in model.train_metrics}
    logs["input_wait"] = waited / max(time.monotonic() - began, 1e-9)
    return logs


def _next(iterator):
    try:
        return next(iterator)
    except tf.errors.OpError as error:
        raise InputError(
            f"A batch can't be read: {error.message.splitlines()[0]}"
        ) from error
