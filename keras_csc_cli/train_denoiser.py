"""Trains the denoiser that `keras-csc restore` uses."""

import pathlib
import sys

from keras_csc_cli import devices
from keras_csc_cli import interruption
from keras_csc_cli import records
from keras_csc_cli.building import CACHE_BYTES
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.interruption import Interrupted
from keras_csc_cli.records import write_json

import keras
import tensorflow as tf
from keras import ops

from keras_csc import data
from keras_csc.files import locked
from keras_csc.files import replacing
from keras_csc.restoration import SparseDenoiser
from keras_csc.restoration.geometry import BORDER

# Side of what is denoised, of a crop or of one that is halved.
SIDE, BATCH = 64, 8
# The range of noise, of 255, and the noise of the images for validation.
LEVELS, SHOWN = (3, 55), 25
# Steps of an epoch, which ends with a checkpoint.
EPOCH = 1000
HELD_OUT = 64


def main(options, make=SparseDenoiser):
    """Trains in `--workdir`, from its last checkpoint if there is one.

    Args:
        options: of the command.
        make: function of a `dtype` policy that makes a model with the calls
            of `SparseDenoiser`.
    """
    keras.utils.set_random_seed(options.seed)
    workdir = pathlib.Path(options.workdir)
    records.check_folder(workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    try:
        with locked(workdir / ".lock", wait=False):
            with interruption.held() as received:
                _train(options, make, workdir, received)
    except BlockingIOError:
        raise UsageError(
            f"{workdir} is in use by another process. Choose another --workdir."
        ) from None


def _train(options, make, workdir, received):
    source = data.cached(_opened(options, "train"), CACHE_BYTES)
    held_out, _ = data.load_arrays(_opened(options, "validation"), HELD_OUT)
    model = make(dtype=devices.dtype_policy(options.dtype_policy))
    compile_denoiser(model, options)
    variables = model.variables + model.optimizer.variables
    checkpoint = tf.train.Checkpoint(variables=[v.value for v in variables])
    manager = tf.train.CheckpointManager(
        checkpoint, str(workdir / "checkpoints"), max_to_keep=2
    )
    _check_same(options, workdir / "flags.json")
    if manager.restore_or_initialize():
        step = int(model.optimizer.iterations)
        print(f"Going on from step {step} of {options.steps}.")
    first = int(model.optimizer.iterations)

    def save(epoch, logs):
        manager.save(int(model.optimizer.iterations))

    def stop_when_due(batch, logs):
        done = int(model.optimizer.iterations) >= options.steps
        model.stop_training = done or bool(received)

    if first < options.steps:
        model.fit(
            noisy_batches(source, BATCH, options.seed, first),
            epochs=-(-(options.steps - first) // EPOCH),
            steps_per_epoch=EPOCH,
            shuffle=False,
            verbose="auto" if sys.stdout.isatty() else 2,
            validation_data=_with_noise(held_out),
            callbacks=[
                keras.callbacks.LambdaCallback(
                    on_train_batch_end=stop_when_due, on_epoch_end=save
                ),
                keras.callbacks.SwapEMAWeights(),
                keras.callbacks.TensorBoard(workdir / "tensorboard"),
                keras.callbacks.TerminateOnNaN(),
            ],
        )
    step = int(model.optimizer.iterations)
    if received:
        raise Interrupted(received[0], f"stopped at step {step}")
    if step < options.steps:
        raise UsageError(
            f"the loss is not a number after step {step}. Start again in "
            "another --workdir, with a lower --learning_rate."
        )
    model.optimizer.finalize_variable_values(model.trainable_variables)
    trained = make(dtype="float32")
    trained.set_weights(model.get_weights())
    with replacing(workdir / "denoiser.keras") as temporary:
        trained.save(temporary)
    trained.compile(loss="mse", metrics=[psnr])
    found = trained.evaluate(*_with_noise(held_out), verbose=0)
    write_json(
        workdir / "run.json",
        {
            "options": vars(options),
            "images": source.identity(),
            "weights": trained.count_params(),
            "psnr": {"noise": SHOWN, "mean": found[1]},
            "trained": records.identification(),
        },
    )
    print(f"Trained denoiser: {workdir / 'denoiser.keras'}")


def _opened(options, split):
    """Crops twice as wide as what is denoised: some of them are halved."""
    return data.open_dataset(
        "image_folder",
        split,
        (2 * SIDE, 2 * SIDE, 1),
        options.data_dir,
        random_crop=True,
        resize=False,
    )


def compile_denoiser(model, options):
    """Compiles with Adam: a rate that falls as a cosine, a mean of weights."""
    rate = options.learning_rate
    schedule = keras.optimizers.schedules.CosineDecay(
        0.01 * rate,
        options.steps,
        alpha=0.01,
        warmup_target=rate,
        warmup_steps=min(100, options.steps // 2),
    )
    optimizer = keras.optimizers.Adam(
        schedule, global_clipnorm=0.01, use_ema=True, ema_momentum=0.999
    )
    optimizer.build(model.trainable_variables)
    model.compile(optimizer, "mse", metrics=[psnr])


def psnr(images, others):
    """PSNR of every image in [0, 1], in decibels."""
    errors = ops.mean(ops.square(images - others), (1, 2, 3))
    return -10 * ops.log10(errors)


def _check_same(options, path):
    """Raises `UsageError` unless a folder goes on with its first flags."""
    given = vars(options)
    if path.exists():
        before = records.read_json(path)
        other = sorted(n for n, v in given.items() if before.get(n) != v)
        if other:
            raise UsageError(
                f"{path.parent} holds a training with another --{other[0]}. "
                "Choose another --workdir."
            )
    elif (path.parent / "denoiser.keras").exists():
        raise UsageError(
            f"{path.parent} holds a denoiser.keras that no run wrote there. "
            "Choose another --workdir."
        )
    write_json(path, given)


def noisy_batches(source, batch_size, seed=0, first_step=0):
    """Infinite batches of noisy images, a pure function of seed and step.

    One half of a batch of crops is cut to the middle parts. The sides of the
    other half are halved, by means of four pixels. All are turned by a random
    number of right angles. The noise has a deviation `σ` that is uniform in
    `LEVELS`.

    Args:
        source: of crops, as `data.open_dataset` opens.
        batch_size: int.
        seed: int.
        first_step: int, the step to begin with.

    Returns:
        `tf.data.Dataset` of `((noisy, σ), images, weights)`. `images` are in
        [0, 1], without a border of `BORDER` pixels. `weights` are in inverse
        proportion to `σ`.
    """
    crops = data.batches(
        source, batch_size, seed, first_step, horizontal_flip=True
    )

    def finish(count, batch):
        crops, key = batch[0] / 2 + 0.5, (seed, first_step + count)
        whole = crops[batch_size // 2 :]
        parts = crops[: batch_size // 2, SIDE // 2 :, SIDE // 2 :]
        images = tf.concat(
            [parts[:, :SIDE, :SIDE], tf.nn.avg_pool2d(whole, 2, 2, "VALID")], 0
        )
        turns = tf.random.stateless_uniform([], key, 0, 4, tf.int32)
        images = tf.image.rot90(images, turns)
        low, high = (level / 255 for level in LEVELS)
        noise = tf.random.stateless_uniform([batch_size], key, low, high)
        deviations = noise[:, None, None, None]
        noisy = images + deviations * tf.random.stateless_normal(
            tf.shape(images), key
        )
        inner = images[:, BORDER:-BORDER, BORDER:-BORDER]
        return (noisy, noise), inner, SHOWN / 255 / deviations[..., 0]

    finished = crops.enumerate().map(finish, tf.data.AUTOTUNE)
    return finished.prefetch(tf.data.AUTOTUNE)


def _with_noise(pixels):
    """Crops with noise of `SHOWN`, always the same: `((noisy, σ), images)`."""
    images = pixels.astype("float32") / 255
    noise = tf.random.stateless_normal(images.shape, (0, 0)).numpy()
    levels = images[:, 0, 0, 0] * 0 + SHOWN / 255
    return (images + SHOWN / 255 * noise, levels), images
