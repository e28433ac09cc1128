"""Training, from the options to the evaluated model."""

import contextlib
import signal
import time

from keras_csc_cli import building
from keras_csc_cli import command_line
from keras_csc_cli import devices
from keras_csc_cli import interruption
from keras_csc_cli import records
from keras_csc_cli import results
from keras_csc_cli import train_options
from keras_csc_cli import workdir as workdirs
from keras_csc_cli.interruption import Interrupted

import keras
import tensorflow as tf

from keras_csc import callbacks
from keras_csc import data
from keras_csc.callbacks.checkpoints import steps_taken
from keras_csc.callbacks.checkpoints import terms_of
from keras_csc.terminal import say

CHECKPOINT_MINUTES = 2.0  # most that a killed process loses
LOG_EVERY = 50  # steps, or --save_every if that is less
SHOWN_IMAGES = 40  # in pictures of training


class InputError(command_line.UsageError):
    """A batch can't be read; the message says why."""


def train(options, make_model=building.model):
    """Trains, saves and evaluates the run that `options` describe."""
    building.check(options)
    chief = devices.worker_index(options.strategy) == 0
    strategy = devices.make(options.strategy, options.logical_devices)
    with (
        devices.lost_workers(options.strategy),
        workdirs.Workdir(options.workdir, hold=chief) as workdir,
    ):
        train_in(workdir, options, strategy, chief, make_model)


def train_in(workdir, options, strategy, chief, make_model):
    """Does the work of `train` in an open `Workdir`, which the chief holds."""
    keras.utils.set_random_seed(options.seed)
    tell = say if chief else (lambda text: None)
    given, replicas = options.dtype_policy, strategy.num_replicas_in_sync
    convolutions = building.convolutions(options)
    options.dtype_policy = workdir.dtype_policy(given, convolutions)
    alike = vars(options).keys() - train_options.MAY_DIFFER
    devices.check_same(
        strategy,
        {name: getattr(options, name) for name in sorted(alike)},
        "Start all with the same flags, and name a --dtype_policy: auto "
        "differs by processor.",
    )

    # === Data ===
    splits = building.Splits(options)
    changes = {
        "batch_size": options.batch_size,
        "seed": options.seed,
        **building.augmentation(options),
    }
    together = tf.distribute.InputContext(num_replicas_in_sync=replicas)
    # Of no use, but that a `DataError` comes early.
    data.batches(splits["train"], input_context=together, **changes)
    if chief:
        # Images to show and measure later are listed before any long work.
        splits["test"]
    images = splits["train"].identity()
    interruption.check()

    # === Model, from the last checkpoint if there is one ===
    with strategy.scope():
        model = make_model(options, splits.num_classes)
    building.check_metrics(options.metrics, splits, model)
    checkpoint = callbacks.TrainingCheckpoint(
        workdir.checkpoints,
        every_steps=options.save_every,
        every_minutes=CHECKPOINT_MINUTES,
        write=chief,
    )
    if chief:
        workdir.begin(options, images)
    devices.mean(strategy, 0)  # The others wait for that.
    first_step = checkpoint.restore(model)
    visible = workdir.flags.exists()
    devices.check_same(
        strategy,
        {"images": images, "step": first_step, "flags.json": visible},
        "All must have the same data set in their --data_dir, and see the same "
        "--workdir, on a file system that they share.",
    )
    if first_step:
        tell(f"Going on from step {first_step} of {options.steps}.")

    # === First atoms, if there is no checkpoint ===
    source = splits["train"]
    if first_step < options.steps:
        if given == "auto":
            tell(f"Computing in {options.dtype_policy} (--dtype_policy=auto).")
        source = data.cached(source, building.CACHE_BYTES)
    drawn = options.first_atoms in ("auto", "random")
    if not first_step and not (drawn and model.decoder.calibrated):
        start = model
        if replicas > 1:
            # The work is slow on a model that is mirrored, and a run on one
            # device is to have the same random numbers.
            keras.utils.set_random_seed(options.seed)
            start = make_model(options, splits.num_classes)
        building.start_from_images(start, source, options.first_atoms, tell)
        if replicas > 1:
            devices.copy_from_chief(strategy, start, model, chief)
        del start
    interruption.check()

    # === Training ===
    if first_step < options.steps:
        called = [callbacks.StopOnNonFinite(), checkpoint]
        if chief:
            called = followers(options, workdir, splits, checkpoint, replicas)
        loop(
            model,
            source,
            devices.batches(strategy, source, model.step, **changes),
            options.steps,
            min(LOG_EVERY, options.save_every),
            called,
            strategy,
        )
    interruption.check()

    # === Result: all that is left is the chief's to make ===
    if chief:
        finish(options, workdir, splits, model, first_step == options.steps)
    # The others wait for that. A lost worker is no error here.
    with contextlib.suppress(*(devices.LOST if chief else ())):
        devices.mean(strategy, 0)


def finish(options, workdir, splits, model, keep):
    """Saves a trained model and evaluates it.

    Unless `keep`, it replaces also an evaluation of more images or metrics.
    """
    building.fit_density(model, splits, options)
    interruption.check()
    workdir.save(model)
    interruption.check()
    say(f"Trained model: {workdir.model}. Pictures: {workdir.path}/pictures.")
    if options.metrics:
        say("Evaluating on the test split.")
        figures = results.evaluate(model, options, workdir, splits, keep=keep)
        say("\n".join(results.lines(figures)))


def followers(options, workdir, splits, checkpoint, replicas):
    """The callbacks of the process that writes."""
    batch = options.batch_size
    shown = building.float_images(splits["test"], SHOWN_IMAGES)
    return [
        callbacks.StopOnNonFinite(),
        checkpoint,
        records.SessionLog(
            workdir.run, splits["train"], batch, replicas, workdir.timed
        ),
        callbacks.RunLog(workdir.path, shown, batch, options.save_every),
        callbacks.ProgressLine(options.steps, batch),
    ]


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
