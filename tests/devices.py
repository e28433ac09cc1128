"""Whether this machine's devices compute what they should: `make test-devices`.

On all GPUs of the machine, or without one on two logical CPUs. A deviation is
relative to the largest number of an array, that of gradients is of their norm.
`benchmarks/steps.py` has times.
"""

import pathlib
from itertools import chain

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_csc.callbacks import TrainingCheckpoint
from keras_csc.export import export_saved_model
from keras_csc.optimizers import DictionaryMuon
from tests.helpers.exporting import tiny_model
from tests.helpers.reference_loop import CLASSES
from tests.helpers.reference_loop import ReferenceLoop
from tests.helpers.reference_loop import all_weights
from tests.helpers.reference_loop import gradients_of
from tests.helpers.reference_loop import plain_game
from tests.helpers.reference_loop import relative_difference
from tests.helpers.reference_loop import shards
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import small_batch
from tests.helpers.reference_loop import spread_autoencoder

CPU = "CPU:0"
GPUS = tf.config.list_physical_devices("GPU")
NAMES = [f"GPU:{n}" for n in range(len(GPUS))] or [CPU, "CPU:1"]
BATCH = 3 * len(NAMES)
TOLERANCE = {
    "float64": 1e-10,
    "float32": 1e-4,
    "mixed_float16": 0.02,
    "mixed_bfloat16": 0.1,
}
# A game, its precision and image; features of one keep their place, and its
# players take turns.
GAMES = {
    "binary": (plain_game(memory=0.75), "float64", (4, 4, 1)),
    "published": (
        plain_game(
            objective="multi",
            consistency=0.5,
            inner_step=True,
            shared_statistics=False,
        ),
        *("float64", (8, 8, 1)),
    ),
    "ours": (
        plain_game(
            objective="multi", memory=0.75, multistage=2.0, residual=2.0
        ),
        *("float32", (4, 4, 1)),
    ),
}


@pytest.fixture(scope="module", autouse=True)
def exact_products():
    """Else GPUs round the factors of products in float32 to 10 bits."""
    tf.config.experimental.enable_tensor_float_32_execution(False)


@pytest.fixture(scope="module")
def strategies():
    """Of one device, and of all."""
    found = [tf.distribute.OneDeviceStrategy(NAMES[0])]
    if len(NAMES) > 1:
        found.append(tf.distribute.MirroredStrategy(NAMES))
    return found


def make(name, **arguments):
    """The compiled model of a game, its weights spread."""
    keras.utils.set_random_seed(0)
    game, dtype, shape = GAMES[name]
    kind = "map" if name == "published" else "vector"
    model = spread_autoencoder(
        dtype=dtype, filters=(3,), image_shape=shape, features=kind
    )
    optimizer, other = keras.optimizers.SGD(0.05, momentum=0.5), None
    if name == "ours":
        optimizer = DictionaryMuon(0.02)
    if name == "published":
        other = keras.optimizers.Adam(0.01, epsilon=1e-3)
    model.compile(optimizer, other, game, **arguments)
    return model


def global_batches(name, steps=12):
    """Images and labels of every step."""
    _, dtype, shape = GAMES[name]
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (steps, BATCH, *shape)).astype(dtype)
    labels = rng.integers(CLASSES, size=(steps, BATCH)).astype("int32")
    return images, labels


def train(name, strategy):
    """Weights after steps on the same global batches."""
    with strategy.scope():
        model = make(name)

    @tf.function(autograph=False)
    def train_step(data):
        strategy.run(model.train_step, (data,))

    for data in zip(*global_batches(name)):
        train_step(tuple(shards(strategy, array) for array in data))
    return all_weights(model)


@pytest.mark.parametrize("name", GAMES)
def test_training_is_that_of_one_cpu(strategies, name):
    expected = train(name, tf.distribute.OneDeviceStrategy(CPU))
    for strategy in strategies if GPUS else strategies[1:]:
        deviation = relative_difference(train(name, strategy), expected)
        assert deviation <= TOLERANCE[GAMES[name][1]]


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_features_and_images_are_those_of_numpy(dtype):
    model, (images, _) = spread_autoencoder(dtype=dtype), small_batch()
    reference = ReferenceLoop(model)
    features, _, moments = reference.encode(images.astype("float64"))[:3]
    output = model.encoder.activations(images, training=True)
    made = model.decoder(features, training=True, statistics=output.statistics)
    deviation = relative_difference(
        [np.asarray(values, "float64") for values in (output.features, made)],
        [features, reference.decode(features, moments=moments)],
    )
    assert deviation <= TOLERANCE[dtype]


# Rounding to 8 bits takes codes across their thresholds.
@pytest.mark.parametrize(
    "dtype, tolerance", [("float32", 1e-4), ("mixed_bfloat16", 0.25)]
)
def test_gradients_are_those_of_float64_on_a_cpu(dtype, tolerance):
    model, (images, _) = spread_autoencoder(dtype=dtype), small_batch(n=64)
    with tf.device(CPU):
        exact = small_autoencoder(dtype="float64")
        exact.set_weights(model.get_weights())
        expected = gradients_of(exact, plain_game(), images)
    found = gradients_of(model, plain_game(), images)
    found, expected = (
        np.concatenate([np.ravel(part) for part in chain(*each)])
        for each in (found, expected)
    )
    error = np.linalg.norm(found - expected)
    assert error <= tolerance * np.linalg.norm(expected)


def test_xla_trains_alike():
    weights = []
    for jit_compile in (True, False):
        model = make("ours", jit_compile=jit_compile)
        for batch in zip(*global_batches("ours", 4)):
            model.train_on_batch(*batch)
        weights.append(all_weights(model))
    assert relative_difference(*weights) <= TOLERANCE["float32"]


@pytest.mark.parametrize("reload_on", sorted({NAMES[0], CPU}))
def test_a_saved_model_is_the_same_on_every_device(tmp_path, reload_on):
    model = tiny_model(filters=(4,))
    images = np.random.default_rng(0).uniform(-1, 1, (8, 16, 16, 1))
    images = tf.constant(images, "float32")
    path = export_saved_model(model, tmp_path / "model")
    with tf.device(reload_on):
        signatures = tf.saved_model.load(path).signatures
        features = signatures["encode"](image=images)["features"]
        made = signatures["serving_default"](image=images)["reconstruction"]
    deviation = relative_difference(
        [features.numpy(), made.numpy()],
        [model.encode(images).numpy(), model.reconstruct(images).numpy()],
    )
    assert deviation <= TOLERANCE["float32"]


def test_training_goes_on_after_a_restart(strategies, tmp_path):
    images = np.concatenate(global_batches("binary", 4)[0])
    first, second = np.split(images, 2)

    def fit(model, images, *callbacks):
        given = {"batch_size": BATCH, "shuffle": False, "verbose": 0}
        model.fit(images, callbacks=callbacks, **given)

    with strategies[-1].scope():
        going, other = (make("binary") for _ in range(2))
    checkpoint = TrainingCheckpoint(pathlib.Path(tmp_path))
    fit(going, first, checkpoint)
    fit(going, second)
    assert checkpoint.restore(other) == 2
    fit(other, second)
    deviation = relative_difference(all_weights(other), all_weights(going))
    assert deviation <= TOLERANCE["float64"]
