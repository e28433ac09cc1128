"""Training on the same global batches, in ways that must not matter."""

import keras
import numpy as np
import tensorflow as tf

from benchmarks.communication import reductions
from keras_csc.losses import TranscriptionGame
from keras_csc.optimizers import DictionaryMuon
from tests.helpers.reference_loop import all_weights
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import spread_weights

STEPS = 12
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
METRIC_TOLERANCE = 1e-5  # metrics are kept in float32
BATCH = 6
CLASSES = 3
GAMES = {
    "binary": {"memory": 0.75},
    "multi": {
        "objective": "multi",
        "num_classes": CLASSES,
        "class_features": 3,
        "class_rate": 0.5,
        "memory": 0.75,
        "dictionary": 2.0,
    },
    "consistency": {
        "encoder_consistency": 0.5,
        "decoder_consistency": 0.25,
        "multistage": 2.0,
        "shared_statistics": True,
        "view_features": 3,
        "view_rate": 0.5,
        "view_consistency": 0.25,
    },
}
# One game is of features that keep their place.
NETWORKS = {
    "binary": {"image_shape": (4, 4, 1)},
    "multi": {"image_shape": (8, 8, 1), "features": "map"},
    "consistency": {"image_shape": (4, 4, 1)},
}
# Of the encoder.
OPTIMIZERS = {
    "binary": lambda: keras.optimizers.SGD(0.05, momentum=0.5),
    "multi": lambda: keras.optimizers.SGD(0.05, momentum=0.5),
    "consistency": lambda: DictionaryMuon(0.02),
}
# What a case is trained on two of. Every game and order is in one of them:
# tracing a step takes seconds, and the more the larger the game is; twice that
# if it alternates.
CASES = {
    ("binary", "one pass", "float64"): ("devices",),
    ("multi", "alternating", "float64"): ("devices",),
    ("consistency", "one pass", "float32"): ("devices",),
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
        TranscriptionGame(**GAMES[game]),
        inner_step=alternating,
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
        `(weights, metrics, counted, stated)`: a list of arrays, a dict of
        floats, and the sizes of what a step sums over workers, found in its
        graph and as `reductions` says.
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
    graph = train_step.get_concrete_function(share(0)).graph
    counted = [
        operation.inputs[0].shape.num_elements()
        for operation in graph.get_operations()
        if operation.type.startswith("Collective")
    ]
    stated = sum(reductions(model).values(), [])
    return all_weights(model), metrics, sorted(counted), sorted(stated)
