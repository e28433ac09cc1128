"""Training on the same global batches, in every way that must not matter.

As a script, `python parity.py FOLDER 2 4` trains in 2 and then in 4 worker
processes, and writes the weights and metrics of each to FOLDER. Workers are
forked from a process that has imported TensorFlow, and not yet used it.
"""

import json
import os
import pathlib
import socket
import sys

TESTS = pathlib.Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "models"), str(TESTS / "ops")]

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from reference_loop import all_weights  # noqa: E402
from reference_loop import small_autoencoder  # noqa: E402
from reference_loop import spread_weights  # noqa: E402

from keras_csc.losses import TranscriptionGame  # noqa: E402

STEPS = 20
BATCH = 8
CLASSES = 3
GAMES = {
    "binary": {},
    "multi": {"objective": "multi", "num_classes": CLASSES},
    "consistency": {
        "encoder_consistency": 0.5,
        "decoder_consistency": 0.25,
        "stages": 2.0,
        "cooperation": True,
        "shared_statistics": True,
    },
}
UPDATES = {
    "simultaneous": {},
    "alternating": {"update": "alternating"},
}
GRADIENTS = {
    "unrolled": {},
    "implicit": {"gradient": "implicit", "iterations": 8},
}
# Every pair of a game, an update and a gradient.
CASES = [
    ("binary", "simultaneous", "unrolled"),
    ("binary", "alternating", "implicit"),
    ("multi", "simultaneous", "implicit"),
    ("multi", "alternating", "unrolled"),
    ("consistency", "simultaneous", "implicit"),
    ("consistency", "alternating", "unrolled"),
]
DTYPES = ("float32", "float64")


def make(case, dtype):
    """The compiled model of a case, its weights spread."""
    game, update, gradient = case
    keras.utils.set_random_seed(0)
    model = small_autoencoder(
        dtype=dtype,
        image_shape=(4, 4, 1),
        filters=(3,),
        **GRADIENTS[gradient],
    )
    spread_weights(model)
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.5),
        keras.optimizers.Adam(0.01, epsilon=1e-3),
        TranscriptionGame(**GAMES[game]),
        **UPDATES[update],
    )
    return model


def global_batches(dtype):
    """Images and labels of every step."""
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (STEPS, BATCH, 4, 4, 1)).astype(dtype)
    labels = rng.integers(CLASSES, size=(STEPS, BATCH)).astype("int32")
    return images, labels


def train(case, dtype, strategy):
    """Trains for some steps on the same global batches.

    Returns:
        `(weights, metrics)`: a list of arrays and a dict of floats.
    """
    with strategy.scope():
        model = make(case, dtype)
    images, labels = global_batches(dtype)

    def share(step):
        def part(array):
            size = BATCH // strategy.num_replicas_in_sync
            return strategy.experimental_distribute_values_from_function(
                lambda context: tf.constant(
                    array[size * context.replica_id_in_sync_group :][:size]
                )
            )

        return part(images[step]), part(labels[step])

    @tf.function(autograph=False)
    def train_step(batch):
        strategy.run(model.train_step, (batch,))

    for step in range(STEPS):
        train_step(share(step))
    metrics = {m.name: float(m.result()) for m in model.train_metrics}
    return all_weights(model), metrics


def work(folder, workers, index, addresses):
    """What one worker process does."""
    os.environ["TF_CONFIG"] = json.dumps(
        {
            "cluster": {"worker": addresses},
            "task": {"type": "worker", "index": index},
        }
    )
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    for case in CASES:
        for dtype in DTYPES:
            weights, metrics = train(case, dtype, strategy)
            name = f"{workers}-{index}-{'-'.join(case)}-{dtype}"
            np.savez(folder / f"{name}.npz", *weights)
            (folder / f"{name}.json").write_text(json.dumps(metrics))
    # Waits for the others.
    strategy.reduce("SUM", tf.constant(1.0), axis=None)


def fork(folder, workers):
    """Runs so many workers; exits if one of them fails."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(workers)]
    addresses = ["127.0.0.1:%d" % s.getsockname()[1] for s in sockets]
    for each in sockets:
        each.close()
    children = []
    for index in range(workers):
        child = os.fork()
        if not child:
            work(folder, workers, index, addresses)
            os._exit(0)
        children.append(child)
    codes = [os.waitpid(child, 0)[1] for child in children]
    if any(codes):
        sys.exit(f"workers ended with {codes}")


if __name__ == "__main__":
    for count in sys.argv[2:]:
        fork(pathlib.Path(sys.argv[1]), int(count))
