"""The training loop: steps, callbacks, and signals to stop."""

import contextlib
import signal
import time

from training.command_line import Interrupted

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

    @tf.function(reduce_retracing=True)
    def train_step(batch):
        strategy.run(model.train_step, (batch,))

    with _signals() as received:
        step = model.step
        callbacks.on_train_begin()
        iterator = iter(batches)
        while step < steps and not received:
            end = min(step - step % log_every + log_every, steps)
            logs = _interval(
                train_step, iterator, callbacks, model, end, received
            )
            step = model.step
            callbacks.on_epoch_end(step, logs)
        callbacks.on_train_end()
    if received:
        raise Interrupted(
            received[0], f"stopped at step {model.step}, which is saved"
        )


def _interval(train_step, iterator, callbacks, model, end, received):
    for metric in model.train_metrics:
        metric.reset_state()
    began, waited = time.monotonic(), 0.0
    for step in range(model.step, end):
        asked = time.monotonic()
        batch = _next(iterator)
        waited += time.monotonic() - asked
        train_step(batch)
        callbacks.on_train_batch_end(step)
        if received:
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


@contextlib.contextmanager
def _signals():
    """Collects SIGTERM and SIGINT in a list instead of dying of them.

    A second signal has its usual effect.
    """
    received, previous = [], {}

    def receive(number, frame):
        received.append(number)
        for each, handler in previous.items():
            signal.signal(each, handler)

    for number in (signal.SIGTERM, signal.SIGINT):
        previous[number] = signal.signal(number, receive)
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
