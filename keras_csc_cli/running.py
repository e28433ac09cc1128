"""One way to train, for every model: data, model, steps, result.

What a model's own command adds is a recipe, such as `train.Recipe`.
"""

import contextlib
import signal
import time

from keras_csc_cli import devices
from keras_csc_cli import interruption
from keras_csc_cli import records
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.interruption import Interrupted
from keras_csc_cli.workdir import Workdir

import keras
import tensorflow as tf

from keras_csc import callbacks
from keras_csc import data
from keras_csc.callbacks.checkpoints import steps_taken
from keras_csc.callbacks.checkpoints import terms_of
from keras_csc.terminal import say

CHECKPOINT_MINUTES = 2.0  # most that a killed process loses
CACHE_BYTES = 4 * 2**30  # of decoded images in memory; more are streamed


class InputError(UsageError):
    """A batch can't be read; the message says why."""


def run(options, recipe):
    """Trains in the folder of the options, from its last checkpoint if any.

    Args:
        options: of the command, with `workdir`, `steps`, `seed` and
            `dtype_policy`.
        recipe: what is trained. Its attributes are

            - `command`: the `Command`;
            - `batch_size`, `log_every`, `save_every`: ints;
            - `convolutions()`: see `devices.seconds`;
            - `open(replicas, chief)`: the source of training images;
            - `model()`: the compiled model, made in a strategy's scope;
            - `start(model, source, strategy, tell)`: gives a new model its
              first weights;
            - `batches(strategy, source, first_step)`: global batches;
            - `followers(workdir)`: callbacks of the process that writes;
            - `finish(workdir, model)`: saves, and writes the evaluation.
    """
    name = getattr(options, "strategy", "none")
    chief = devices.worker_index(name) == 0
    strategy = devices.make(name, getattr(options, "logical_devices", 1))
    with (
        devices.lost_workers(name),
        Workdir(options.workdir, hold=chief, command=recipe.command) as workdir,
    ):
        _run_in(workdir, options, recipe, strategy, chief)


def _run_in(workdir, options, recipe, strategy, chief):
    keras.utils.set_random_seed(options.seed)
    tell = say if chief else (lambda text: None)
    given, replicas = options.dtype_policy, strategy.num_replicas_in_sync
    options.dtype_policy = workdir.dtype_policy(given, recipe.convolutions())
    alike = vars(options).keys() - {"data_dir", "workdir"}
    devices.check_same(
        strategy,
        {name: getattr(options, name) for name in sorted(alike)},
        "Start all with the same flags, and name a --dtype_policy: auto "
        "differs by processor.",
    )

    # === Data ===
    source = recipe.open(replicas, chief)
    images = source.identity()
    interruption.check()

    # === Model, from the last checkpoint if there is one ===
    with strategy.scope():
        model = recipe.model()
    checkpoint = callbacks.TrainingCheckpoint(
        workdir.checkpoints,
        every_steps=recipe.save_every,
        every_minutes=CHECKPOINT_MINUTES,
        write=chief,
    )
    if chief:
        workdir.begin(options, images)
    devices.mean(strategy, 0)  # The others wait for that.
    first_step = checkpoint.restore(model)
    devices.check_same(
        strategy,
        {
            "images": images,
            "step": first_step,
            "flags.json": workdir.flags.exists(),
        },
        "All must have the same data set in their --data_dir, and see the same "
        "--workdir, on a file system that they share.",
    )
    if first_step:
        tell(f"Going on from step {first_step} of {options.steps}.")

    # === Training ===
    if first_step < options.steps:
        if given == "auto":
            tell(f"Computing in {options.dtype_policy} (--dtype_policy=auto).")
        source = data.cached(source, CACHE_BYTES)
        if not first_step:
            recipe.start(model, source, strategy, tell)
        interruption.check()
        called = [callbacks.StopOnNonFinite(), checkpoint]
        if chief:
            size, timed = recipe.batch_size, workdir.timed
            called += [
                records.SessionLog(workdir.run, source, size, replicas, timed),
                *recipe.followers(workdir),
                callbacks.ProgressLine(options.steps, size),
            ]
        batches = recipe.batches(strategy, source, first_step)
        steps, every = options.steps, recipe.log_every
        loop(model, source, batches, steps, every, called, strategy)
    interruption.check()

    # === Result: all that is left is the chief's to make ===
    if chief:
        recipe.finish(workdir, model)
    # The others wait for that. A lost worker is no error here.
    with contextlib.suppress(*(devices.LOST if chief else ())):
        devices.mean(strategy, 0)


def loop(model, source, batches, steps, log_every, callbacks, strategy):
    """Trains a model from its current step to `steps`.

    It calls Keras callbacks as `fit` does, with a logging interval for an
    epoch. `on_epoch_end` is given the means of the interval's terms. It is also
    given `input_wait`, the share of the time that was spent waiting for images.
    Intervals end at multiples of `log_every`.

    Args:
        model: compiled Keras model.
        source: of the images in the batches.
        batches: distributed dataset of global batches, from the model's
            current step on.
        steps: int, the step to stop at.
        log_every: int, steps of an interval.
        callbacks: list of Keras callbacks.
        strategy: the `tf.distribute` strategy that `model` was made under.

    Raises:
        Interrupted: after SIGTERM, SIGHUP or Ctrl-C, when the callbacks'
            `on_train_end` have been called.
        DataError: if a batch can't be read, and an image neither.
        InputError: if a batch can't be read, though all images can.
    """

    @tf.function(autograph=False, reduce_retracing=True)
    def run(batch, stop):
        strategy.run(model.train_step, (batch,))
        # When one worker is told to stop, all do after the same step.
        return strategy.reduce("MEAN", stop, axis=None) > 0

    workers = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
    callbacks = keras.callbacks.CallbackList(callbacks, model=model)
    model.stop_training, first = False, steps_taken(model)
    with interruption.held() as received:
        callbacks.on_train_begin()
        iterator = iter(batches)
        for step in range(first, steps):
            if step == first or step % log_every == 0:
                began, waited = time.monotonic(), 0.0
                model.reset_metrics()
            asked = time.monotonic()
            batch = _next(iterator, source)
            waited += time.monotonic() - asked
            stop = run(batch, tf.constant(float(bool(received))))
            due = step + 1 == steps or (step + 1) % log_every == 0
            # To read what a step computes is to wait for it.
            model.stop_training = (
                due and bool(stop) if workers else bool(received)
            )
            callbacks.on_train_batch_end(step)
            last = model.stop_training or step + 1 == steps
            if last or due:
                logs = {n: float(v) for n, v in terms_of(model).items()}
                passed = max(time.monotonic() - began, 1e-9)
                callbacks.on_epoch_end(
                    step + 1, {**logs, "input_wait": waited / passed}
                )
            if last:
                break
        callbacks.on_train_end()
    if model.stop_training or received:
        raise Interrupted(
            (received or [signal.SIGTERM])[0],
            f"stopped at step {steps_taken(model)}, which is saved",
        )


def _next(iterator, source):
    try:
        return next(iterator)
    except tf.errors.OpError as error:
        data.check_readable(source)
        raise InputError(
            f"A batch can't be read: {error.message.splitlines()[0]}"
        ) from error
