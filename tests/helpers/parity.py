"""Training on the same global batches, in ways that must not matter."""

import keras
import numpy as np
import tensorflow as tf

from keras_csc.optimizers import DictionaryMuon
from tests.helpers.reference_loop import all_weights
from tests.helpers.reference_loop import plain_game
from tests.helpers.reference_loop import spread_autoencoder

STEPS = 12
BATCH = 6
CLASSES = 3
GAMES = {
    "binary": plain_game(memory=0.75),
    "published": plain_game(
        objective="multi",
        consistency=0.5,
        inner_step=True,
        shared_statistics=False,
    ),
    "ours": plain_game(
        objective="multi", memory=0.75, multistage=2.0, residual=2.0
    ),
}
# One game is of features that keep their place, in alternating steps.
NETWORKS = {
    "binary": {"image_shape": (4, 4, 1)},
    "published": {"image_shape": (8, 8, 1), "features": "map"},
    "ours": {"image_shape": (4, 4, 1)},
}
DTYPES = {"binary": "float64", "published": "float64", "ours": "float32"}


def make(game, dtype):
    """The compiled model of a game, its weights spread."""
    keras.utils.set_random_seed(0)
    model = spread_autoencoder(dtype=dtype, filters=(3,), **NETWORKS[game])
    optimizer, other = keras.optimizers.SGD(0.05, momentum=0.5), None
    if game == "ours":
        optimizer = DictionaryMuon(0.02)
    if game == "published":
        other = keras.optimizers.Adam(0.01, epsilon=1e-3)
    model.compile(optimizer, other, GAMES[game])
    return model


def global_batches(game, dtype, batch=BATCH):
    """Images and labels of every step."""
    rng = np.random.default_rng(0)
    shape = (STEPS, batch, *NETWORKS[game]["image_shape"])
    images = rng.uniform(-1, 1, shape).astype(dtype)
    labels = rng.integers(CLASSES, size=(STEPS, batch)).astype("int32")
    return images, labels


def shards(strategy, array, at=None):
    """Consecutive parts of a batch, one for every replica.

    Args:
        strategy: which replicas.
        array: the batch.
        at: list of indices that it is divided at; by default equally.
    """
    parts = np.split(array, at or strategy.num_replicas_in_sync)
    return strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(parts[context.replica_id_in_sync_group])
    )


def train(game, dtype, strategy, batch=BATCH):
    """Weights after steps on the same global batches."""
    with strategy.scope():
        model = make(game, dtype)

    @tf.function(autograph=False)
    def train_step(data):
        strategy.run(model.train_step, (data,))

    # Optimising the graph takes longer than these steps.
    optimizer = tf.config.optimizer
    optimizer.set_experimental_options({"disable_meta_optimizer": True})
    for data in zip(*global_batches(game, dtype, batch)):
        train_step(tuple(shards(strategy, array) for array in data))
    optimizer.set_experimental_options({"disable_meta_optimizer": False})
    return all_weights(model)
