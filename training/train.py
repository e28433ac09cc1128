"""Trains a CSC-CTRL autoencoder.

    python training/train.py --flagfile=cifar10.flags --data_dir=DATA

Writes to --workdir: checkpoints/, log.jsonl, tensorboard/, pictures/, and at
the end model/ (a preset folder), run.json and evaluation.json. Run the same
command again to go on from the last checkpoint.
"""

import shutil
import sys
import time

from training import building
from training import command_line
from training import evaluation
from training import loop
from training import options as run_options
from training import strategies
from training import workdir as workdirs

import keras
import tensorflow as tf
from absl import flags

from keras_csc import callbacks
from keras_csc import data


def train(options, make_model=building.model):
    """Trains, saves and evaluates the run that `options` describe.

    Args:
        options: of the run.
        make_model: function of the options and the number of classes.
    """
    building.check(options)
    with workdirs.Workdir(options.workdir) as workdir:
        train_in(workdir, options, make_model)


def train_in(workdir, options, make_model=building.model):
    """Does the work of `train` in an open `Workdir`."""
    keras.utils.set_random_seed(options.seed)
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()

    # === Data ===
    source = building.source(options, "train")
    strategy = strategies.make(options.strategy)
    building.check_batches(options, source, strategy.num_replicas_in_sync)

    # === Model, from the last checkpoint if there is one ===
    with strategy.scope():
        model = make_model(options, source.num_classes)
    workdir.claim(options)
    checkpoint = callbacks.TrainingCheckpoint(
        workdir.checkpoints,
        every_steps=options.checkpoint_every,
        every_minutes=options.checkpoint_minutes,
    )
    first_step = checkpoint.restore(model)
    if first_step:
        say(f"Going on from step {first_step} of {options.steps}.")

    # === Training ===
    if first_step < options.steps:
        fit(options, workdir, source, strategy, model, checkpoint)

    # === Result ===
    with model.averaged_weights():
        if options.ema_momentum is not None:
            model.estimate_statistics(some_batches(options, source))
        save_model(model, workdir)
        if options.evaluate:
            say("Evaluating on the test split.")
            result = evaluation.evaluate(model, options, workdir)
            say(f"{evaluation.summary(result)} ({workdir.evaluation})")
    say(f"Trained model: {workdir.model}. Pictures: {workdir.path}/pictures.")


def fit(options, workdir, source, strategy, model, checkpoint):
    """Trains the model from its step on, and records how."""
    source = data.cached(source, options.cache_mib * 2**20)
    shown, _ = data.load_arrays(building.source(options, "test"), limit=40)
    shown = (shown / 127.5 - 1.0).astype("float32")
    first_step, began = model.step, time.monotonic()
    try:
        loop.train(
            model,
            strategies.batches(strategy, source, options, first_step),
            options.steps,
            options.log_every,
            [
                callbacks.StopOnNonFinite(),
                callbacks.ScalarLog(workdir.path, shown, options.batch_size),
                callbacks.PictureLog(
                    workdir.path, shown, options.pictures_every
                ),
                callbacks.ProgressLine(options.steps, options.batch_size),
                checkpoint,
            ],
            strategy,
        )
    except command_line.Interrupted as interruption:
        say(
            f"{interruption}: stopped at step {model.step}; a checkpoint is "
            "saved. Run the same command again to go on."
        )
        raise
    finally:
        record(options, workdir, model.step - first_step, began)


def some_batches(options, source, count=50):
    """Images of some training batches."""
    batches = data.batches(source, options.batch_size, seed=options.seed)
    return (images for images, _ in batches.take(count))


def record(options, workdir, steps, began):
    """Adds a session of training to `run.json`."""
    run = {"sessions": [], "seconds": 0.0}
    if workdir.run.exists():
        run = workdirs.read_json(workdir.run)
    seconds = round(time.monotonic() - began, 1)
    session = {
        **workdirs.identification(),
        "steps": steps,
        "seconds": seconds,
        "images_per_second": round(steps * options.batch_size / seconds, 1),
    }
    run["sessions"].append(session)
    run["seconds"] = round(run["seconds"] + seconds, 1)
    workdirs.write_json(workdir.run, run)


def save_model(model, workdir):
    """Writes `model/`, in place of an older one."""
    new = workdir.path / ".model-new"
    shutil.rmtree(new, ignore_errors=True)
    model.save_to_preset(new)
    shutil.rmtree(workdir.model, ignore_errors=True)
    new.rename(workdir.model)


def say(text):
    print(text, file=sys.stderr, flush=True)


def main():
    options = run_options.values(flags.FLAGS)
    if options.workdir is None:
        name = command_line.flag_file_name(sys.argv)
        if name is None:
            raise command_line.UsageError(
                "--workdir is missing. Give it, or a --flagfile to name it."
            )
        options.workdir = f"runs/{name}"
    train(options)


if __name__ == "__main__":
    run_options.define(flags.FLAGS)
    flags.adopt_module_key_flags(run_options)
    command_line.run(
        main,
        user_errors=(
            callbacks.CheckpointError,
            callbacks.NonFiniteError,
            data.DataError,
            OSError,
        ),
    )
