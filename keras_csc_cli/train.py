"""Training, from the options to the evaluated model."""

import contextlib
import errno
import os
import sys
import time

from keras_csc_cli import building
from keras_csc_cli import command_line
from keras_csc_cli import devices
from keras_csc_cli import interruption
from keras_csc_cli import loop
from keras_csc_cli import records
from keras_csc_cli import results
from keras_csc_cli import train_options
from keras_csc_cli import workdir as workdirs
from keras_csc_cli.checked_flags import values

import keras
import tensorflow as tf
from absl import flags

from keras_csc import callbacks
from keras_csc import data
from keras_csc.files import remove
from keras_csc.models import initialize_from
from keras_csc.models import initialize_from_patches
from keras_csc.models.patches import CALIBRATION
from keras_csc.pixels import from_pixels
from keras_csc.terminal import duration
from keras_csc.terminal import say

USER_ERRORS = (
    callbacks.CheckpointError,
    callbacks.NonFiniteError,
    data.DataError,
    loop.InputError,
    OSError,
    devices.WorkerLost,
)
CHECKPOINT_MINUTES = 2.0  # most that a killed process loses
BEST_IMAGES = 500  # most that --keep_best measures
SHOWN_IMAGES = 40  # in pictures of training
FIRST_ATOMS = {
    "patches": (initialize_from_patches, "patches"),
    "principal": (initialize_from, "principal components"),
}
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def train(options, make_model=building.model):
    """Trains, saves and evaluates the run that `options` describe.

    Args:
        options: of the run.
        make_model: function of the options and the number of classes.
    """
    building.check(options)
    chief = devices.worker_index(options.strategy) == 0
    strategy = devices.make(options.strategy)
    try:
        with (
            devices.lost_workers(options.strategy),
            workdirs.Workdir(options.workdir, hold=chief) as workdir,
        ):
            train_in(workdir, options, strategy, chief, make_model)
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        raise command_line.UsageError(
            f"there is no room for {options.workdir}: {error.strerror}. What "
            "was saved before stands. Make room, and run the same command "
            "again to go on."
        ) from error


def train_in(workdir, options, strategy, chief, make_model):
    """Does the work of `train` in an open `Workdir`, which the chief holds."""
    keras.utils.set_random_seed(options.seed)
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()
    tell = say if chief else (lambda text: None)
    given, replicas = options.dtype_policy, strategy.num_replicas_in_sync
    options.dtype_policy = workdir.dtype_policy(given)
    alike = vars(options).keys() - train_options.MAY_DIFFER
    devices.check_same(
        strategy,
        {name: getattr(options, name) for name in sorted(alike)},
        "options",
        "Start all with the same flags, and name a --dtype_policy: auto "
        "differs by processor.",
    )
    if chief:
        workdir.check_options(options)

    # === Data ===
    splits = building.Splits(options)
    building.check_labels(options, splits.num_classes)
    changes = {
        "batch_size": options.batch_size,
        "seed": options.seed,
        **building.augmentation(options),
    }
    devices.check_batches(strategy, splits["train"], **changes)
    if chief:
        # What is shown and measured later is looked at before any long work.
        for split in ("test", *["validation"] * bool(options.keep_best)):
            splits[split]
    images = splits["train"].identity()
    devices.check_same(
        strategy,
        {"images": images},
        "training images",
        "Every worker must have the same data set in its --data_dir.",
    )
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
        check_going_on(workdir, checkpoint, images)
        workdir.claim(options)
    devices.mean(strategy, 0)  # The others wait for that.
    if not chief:
        workdir.claim(options)
    first_step = checkpoint.restore(model)
    devices.check_same(
        strategy,
        {"step": first_step},
        "checkpoints",
        "All must see the same working directory, on a file system that they "
        "share.",
    )
    if first_step:
        tell(f"Going on from step {first_step} of {options.steps}.")

    # === First atoms, if there is no checkpoint ===
    source = splits["train"]
    if first_step < options.steps:
        if given == "auto":
            tell(f"Computing in {options.dtype_policy} (--dtype_policy=auto).")
        source = data.cached(source, building.CACHE_BYTES)
    random = options.first_atoms == "random" and model.decoder.calibrated
    if not first_step and not random:
        start = model
        if replicas > 1:
            # The work is slow on a model that is mirrored, and the random
            # numbers are to be those of a run on one device.
            keras.utils.set_random_seed(options.seed)
            start = make_model(options, splits.num_classes)
        start_from_images(start, source, options.first_atoms, tell)
        if replicas > 1:
            devices.copy_from_chief(strategy, start, model, chief)
        del start
    interruption.check()

    # === Training ===
    if first_step < options.steps:
        followers = [callbacks.StopOnNonFinite(), checkpoint]
        if chief:
            followers[1:1] = keepers(options, splits, checkpoint)
            followers += watchers(options, workdir, splits, replicas)
        try:
            loop.train(
                model,
                devices.batches(strategy, source, model.step, **changes),
                options.steps,
                options.log_every,
                followers,
                strategy,
            )
        except loop.InputError:
            data.check_readable(source)
            raise
    interruption.check()

    # === Result: all that is left is the chief's to make ===
    if chief:
        finished_before = first_step == options.steps
        finish(options, workdir, splits, model, checkpoint, finished_before)
    # The others wait for that. A lost worker is no error here.
    with contextlib.suppress(*(devices.LOST if chief else ())):
        devices.mean(strategy, 0)


def check_going_on(workdir, checkpoint, images):
    """For a run whose model a training from the start would replace."""
    if checkpoint.steps():
        records.check_images(workdir.run, images)
    elif workdir.model.exists():
        raise command_line.UsageError(
            f"{workdir.checkpoints} has no checkpoint to go on from, and a "
            f"training from the start would replace {workdir.model} and the "
            "log. Choose another --workdir to train anew."
        )


def start_from_images(model, source, first_atoms, tell):
    """Gives a model its first atoms, and calibrates its decoder."""
    kind, _, count = first_atoms.partition(":")
    if count:
        start, text = FIRST_ATOMS[kind]
        tell(f"Making atoms of the {text} of training images.")
        began = time.monotonic()
        with command_line.usage_errors():
            start(model, float_images(source, int(count)))
        tell(f"Made in {duration(time.monotonic() - began)}.")
    if not model.decoder.calibrated:
        model.decoder.calibrate(float_images(source, CALIBRATION))


def keepers(options, splits, checkpoint):
    """The callback that keeps the best model, if it is asked for, in a list."""
    if not options.keep_best:
        return []
    return [
        callbacks.KeepBest(
            checkpoint,
            options.keep_best,
            float_images(splits["validation"], BEST_IMAGES),
            options.save_every,
            options.steps,
        )
    ]


def watchers(options, workdir, splits, replicas):
    """The callbacks that record training."""
    shown = float_images(splits["test"], SHOWN_IMAGES)
    batch = options.batch_size
    return [
        records.SessionLog(workdir.run, splits["train"], batch, replicas),
        callbacks.ScalarLog(workdir.path, shown, batch),
        callbacks.PictureLog(workdir.path, shown, options.save_every),
        callbacks.ProgressLine(options.steps, batch),
    ]


def finish(options, workdir, splits, model, checkpoint, keep):
    """Saves the trained model and evaluates it.

    Args:
        options, workdir, splits: of the run.
        model: the model.
        checkpoint: `TrainingCheckpoint`.
        keep: bool, as of `results.evaluate`.
    """
    if options.keep_best:
        best = callbacks.restore_best(checkpoint)
        options.step = model.step
        which = "The best" if best else "There is no best checkpoint: the last"
        say(f"{which} is of step {options.step}.")
    fit_density(model, splits, options)
    interruption.check()
    save_model(model, workdir)
    interruption.check()
    if options.metrics:
        evaluate(model, options, workdir, splits, keep)
    say(f"Trained model: {workdir.model}. Pictures: {workdir.path}/pictures.")


def fit_density(model, splits, options):
    """Gives a model the density of its features of some training images."""
    if model.encoder.features != "vector":
        return
    say("Fitting the density of the features of training images.")
    images, labels = splits.arrays("train", options.evaluation_limit)
    try:
        model.fit_density(images, labels, options.density_components)
    except ValueError as error:
        model.density = None
        say(f"The model is saved without a density: {error}")


def save_model(model, workdir):
    """Writes `model/`, in place of an older one."""
    new = workdir.path / ".model-new"
    model.save_to_preset(new)
    if os.path.lexists(workdir.model):
        workdir.model.rename(workdir.old_model)
    new.rename(workdir.model)
    remove(workdir.old_model)


def evaluate(model, options, workdir, splits, keep):
    """Evaluates the trained model, which is saved whatever comes of that."""
    say("Evaluating on the test split.")
    tools = results.instruments(
        options.metrics, splits, workdir.classifier(splits)
    )
    try:
        result = results.evaluate(
            model, options, workdir, splits, tools, keep=keep
        )
    except command_line.UsageError as error:
        raise command_line.UsageError(
            f"{error} The trained model is saved: {workdir.model}."
        ) from error
    for line in results.lines(result):
        say(line)


def float_images(source, limit):
    """The first images of a source, in [-1, 1]."""
    images, _ = data.load_arrays(source, limit)
    return from_pixels(images)


def main():
    options = values(train_options.SECTIONS, flags.FLAGS)
    if options.workdir is None:
        options.workdir = f"runs/{command_line.flag_file_name(sys.argv)}"
    train(options)
