"""Whether this machine's devices compute what they should.

    make test-devices

What is compared is on all GPUs of the machine, or without one on two logical
CPUs:

- steps of training on one device, and on all under `MirroredStrategy`, with
  those of one CPU;
- features, images and gradients of a network in each precision with those of
  NumPy and of float64;
- steps compiled by XLA (`jit_compile`) with those that are not;
- an exported SavedModel, on a device and on a CPU, with its model;
- steps after a restart from a checkpoint with those without one.

A deviation is relative to the largest number of an array, that of gradients is
of their norm. Exits with 1 if a check fails. `benchmarks/steps.py` has times.
"""

import pathlib
import sys
import tempfile
import traceback
from itertools import chain

from keras_csc_cli import command_line
from keras_csc_cli import devices as processors

import keras
import numpy as np
import tensorflow as tf

from benchmarks import measuring
from keras_csc.callbacks import TrainingCheckpoint
from keras_csc.export import export_saved_model
from tests.helpers import parity
from tests.helpers.exporting import tiny_model
from tests.helpers.reference_loop import ReferenceLoop
from tests.helpers.reference_loop import all_weights
from tests.helpers.reference_loop import gradients_of
from tests.helpers.reference_loop import plain_game
from tests.helpers.reference_loop import relative_difference
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import small_batch
from tests.helpers.reference_loop import spread_autoencoder

CPU = "CPU:0"
TOLERANCE = {
    "float64": 1e-10,
    "float32": 1e-4,
    "mixed_float16": 0.02,
    "mixed_bfloat16": 0.1,
}
STEPS = 4  # of those that are not of `parity`


def devices():
    """Names of the GPUs, or of two logical CPUs."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        return [f"GPU:{number}" for number in range(len(gpus))]
    processors.divide(2)
    return ["CPU:0", "CPU:1"]


def strategies(names):
    """Dict from what is in use to a strategy: one device, and all."""
    found = {names[0]: tf.distribute.OneDeviceStrategy(names[0])}
    if len(names) > 1:
        strategy = tf.distribute.MirroredStrategy(names)
        found[f"{names[0]} to {names[-1]}"] = strategy
    return found


def training(game, dtype, strategy, batch):
    """Weights after the steps of `parity` on one CPU, and on others."""
    on_cpu = tf.distribute.OneDeviceStrategy(CPU)
    expected, found = (
        parity.train(game, dtype, each, batch) for each in (on_cpu, strategy)
    )
    return relative_difference(found, expected)


def spread_model(dtype):
    keras.utils.set_random_seed(0)
    return spread_autoencoder(dtype=dtype)


def forward(dtype):
    """Features and images, and those of NumPy."""
    model = spread_model(dtype)
    images, _ = small_batch()
    reference = ReferenceLoop(model)
    features, _, moments = reference.encode(images.astype("float64"))[:3]
    output = model.encoder.activations(images, training=True)
    made = model.decoder(features, training=True, statistics=output.statistics)
    return relative_difference(
        [np.asarray(values, "float64") for values in (output.features, made)],
        [features, reference.decode(features, moments=moments)],
    )


def gradients(dtype):
    """Of both players, and those of float64 on a CPU."""
    model, (images, _) = spread_model(dtype), small_batch(n=64)
    with tf.device(CPU):
        exact = small_autoencoder(dtype="float64")
        exact.set_weights(model.get_weights())
        expected = gradients_of(exact, plain_game(), images)
    found = gradients_of(model, plain_game(), images)
    found, expected = (
        np.concatenate([np.ravel(part) for part in chain(*each)])
        for each in (found, expected)
    )
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def compiled_by_xla(dtype):
    """Weights after steps, with XLA and without."""
    weights = []
    for jit_compile in (True, False):
        model = parity.make("binary", dtype)
        model.compile(
            *(keras.optimizers.SGD(0.05, momentum=0.5) for _ in range(2)),
            model.game,
            jit_compile=jit_compile,
        )
        images, _ = parity.global_batches("binary", dtype)
        for batch in images[:STEPS]:
            model.train_on_batch(batch)
        weights.append(all_weights(model))
    return relative_difference(*weights)


def exported(reload_on):
    """Features and regenerations of a model, and of its SavedModel."""
    model = tiny_model(filters=(4,))
    images = np.random.default_rng(0).uniform(-1, 1, (8, 16, 16, 1))
    images = tf.constant(images, "float32")
    with tempfile.TemporaryDirectory() as folder:
        path = export_saved_model(model, folder)
        with tf.device(reload_on):
            signatures = tf.saved_model.load(path).signatures
            features = signatures["encode"](image=images)["features"]
            made = signatures["serving_default"](image=images)["reconstruction"]
    return relative_difference(
        [features.numpy(), made.numpy()],
        [model.encode(images).numpy(), model.reconstruct(images).numpy()],
    )


def restarted(strategy, dtype, batch):
    """Weights after steps of `fit`, with a restart half way and without."""
    images, _ = parity.global_batches("binary", dtype, batch)
    half = STEPS // 2 * batch
    images = np.concatenate(images[:STEPS])

    def fit(model, images, *callbacks):
        model.fit(
            images,
            batch_size=batch,
            shuffle=False,
            verbose=0,
            callbacks=callbacks,
        )

    with strategy.scope():
        going, other = (parity.make("binary", dtype) for _ in range(2))
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = TrainingCheckpoint(pathlib.Path(folder))
        fit(going, images[:half], checkpoint)
        fit(going, images[half:])
        if checkpoint.restore(other) != STEPS // 2:
            raise ValueError("The checkpoint is of another step.")
    fit(other, images[half:])
    return relative_difference(all_weights(other), all_weights(going))


def checks(used, batch):
    """Yields check, devices, tolerance and the function of the deviation."""
    first, *_ = used
    for devices, strategy in used.items():
        if devices == CPU:
            continue  # It is what others are compared with.
        for game, dtype in parity.DTYPES.items():
            yield (
                f"training, {game}, {dtype}",
                f"{devices} against {CPU}",
                TOLERANCE[dtype],
                lambda: training(game, dtype, strategy, batch),
            )
    for dtype, tolerance in TOLERANCE.items():
        yield (
            f"features and images, {dtype}",
            f"{first} against NumPy",
            tolerance,
            lambda: forward(dtype),
        )
    # Rounding to 8 bits takes codes across their thresholds.
    for dtype, tolerance in (("float32", 1e-4), ("mixed_bfloat16", 0.25)):
        yield (
            f"gradients, {dtype}",
            f"{first} against float64 on {CPU}",
            tolerance,
            lambda: gradients(dtype),
        )
    yield (
        "XLA, float32",
        f"{first} against the same without XLA",
        TOLERANCE["float32"],
        lambda: compiled_by_xla("float32"),
    )
    for reload_on in dict.fromkeys((first, CPU)):
        yield (
            "SavedModel, float32",
            f"{reload_on} against its model on {first}",
            TOLERANCE["float32"],
            lambda: exported(reload_on),
        )
    *_, (devices, strategy) = used.items()
    yield (
        "restart from a checkpoint, float64",
        devices,
        TOLERANCE["float64"],
        lambda: restarted(strategy, "float64", batch),
    )


def checked(check, devices, tolerance, deviation):
    """The row of a check."""
    print(f"{check}: {devices}", flush=True)
    try:
        found = float(deviation())
    except Exception:
        traceback.print_exc()
        found = float("nan")
    return {
        "check": check,
        "devices": devices,
        "largest deviation": found,
        "tolerance": tolerance,
        "verdict": "right" if found <= tolerance else "WRONG",
    }


def main():
    names = devices()
    used = strategies(names)
    tf.get_logger().setLevel("ERROR")  # Several functions are no retracing.
    # Else GPUs round the factors of products in float32 to 10 bits.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    rows = [checked(*check) for check in checks(used, 3 * len(names))]
    measuring.print_table(rows, list(rows[0]))
    wrong = sum(row["verdict"] != "right" for row in rows)
    if wrong:
        sys.exit(f"{wrong} of {len(rows)} checks failed.")
    print(f"All {len(rows)} checks are right.")


if __name__ == "__main__":
    command_line.run(main)
