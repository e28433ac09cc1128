"""Training on the same global batches, in ways that must not matter."""

import keras
import numpy as np
import tensorflow as tf

from keras_csc.losses import TranscriptionGame
from keras_csc.optimizers import DictionaryMuon
from tests.helpers.reference_loop import all_weights
from tests.helpers.reference_loop import recipe
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import spread_weights

STEPS = 12
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
METRIC_TOLERANCE = 1e-5  # metrics are kept in float32
BATCH = 6
CLASSES = 3
GAMES = {
    "binary": recipe(memory=0.75),
    "multi": TranscriptionGame(
        "multi", CLASSES, consistency=0.5, inner_step=True
    ),
    "recipe": recipe(
        num_classes=CLASSES,
        class_features=2,
        view_features=2,
        memory=0.75,
        multistage=2.0,
        dictionary=2.0,
    ),
}
# One game is of features that keep their place.
NETWORKS = {
    "binary": {"image_shape": (4, 4, 1)},
    "multi": {"image_shape": (8, 8, 1), "features": "map"},
    "recipe": {"image_shape": (4, 4, 1)},
}
# Of the encoder.
OPTIMIZERS = {
    "binary": lambda: keras.optimizers.SGD(0.05, momentum=0.5),
    "multi": lambda: keras.optimizers.SGD(0.05, momentum=0.5),
    "recipe": lambda: DictionaryMuon(0.02),
}
# What a case is trained on two of. Every game and order is in one of them:
# tracing a step takes seconds, and the more the larger the game is; twice that
# if it alternates.
CASES = {
    ("binary", "one pass", "float64"): ("devices",),
    ("multi", "alternating", "float64"): ("devices",),
    ("recipe", "one pass", "float32"): ("devices",),
}


def cases(kind):
    """Cases of two `"devices"` or `"workers"`.

    Returns:
        Dict from names to `(case, dtype)`.
    """
    return {
        "-".join(case): (case[:-1], case[-1])
        for case, kinds in CASES.items()
        if kind in kinds
    }


def make(case, dtype):
    """The compiled model of a case, its weights spread."""
    game, order = case
    alternating = order == "alternating"
    keras.utils.set_random_seed(0)
    model = small_autoencoder(
        dtype=dtype,
        filters=(3,),
        **NETWORKS[game],
    )
    spread_weights(model)
    model.compile(
        OPTIMIZERS[game](),
        keras.optimizers.Adam(0.01, epsilon=1e-3) if alternating else None,
        GAMES[game],
    )
    return model


def global_batches(case, dtype, batch=BATCH):
    """Images and labels of every step."""
    rng = np.random.default_rng(0)
    shape = (STEPS, batch, *NETWORKS[case[0]]["image_shape"])
    images = rng.uniform(-1, 1, shape).astype(dtype)
    labels = rng.integers(CLASSES, size=(STEPS, batch)).astype("int32")
    return images, labels


def train(case, dtype, strategy, batch=BATCH):
    """Trains for some steps on the same global batches.

    Returns:
        `(weights, metrics)`: a list of arrays, and a dict of floats.
    """
    with strategy.scope():
        model = make(case, dtype)
    images, labels = global_batches(case, dtype, batch)

    def share(step):
        def part(array):
            size = batch // strategy.num_replicas_in_sync
            return strategy.experimental_distribute_values_from_function(
                lambda context: tf.constant(
                    array[size * context.replica_id_in_sync_group :][:size]
                )
            )

        return part(images[step]), part(labels[step])

    @tf.function(autograph=False)
    def train_step(data):
        strategy.run(model.train_step, (data,))

    # Optimising the graph takes longer than these steps.
    optimizer = tf.config.optimizer
    optimizer.set_experimental_options({"disable_meta_optimizer": True})
    for step in range(STEPS):
        train_step(share(step))
    optimizer.set_experimental_options({"disable_meta_optimizer": False})
    metrics = {m.name: float(m.result()) for m in model.train_metrics}
    return all_weights(model), metrics
