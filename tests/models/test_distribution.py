"""The same global batches give the same model, however many replicas.

`tests/devices.py` has more games, on the devices that there are.
"""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_csc.losses import TranscriptionGame
from tests.helpers.reference_loop import CLASSES
from tests.helpers.reference_loop import all_weights
from tests.helpers.reference_loop import plain_game
from tests.helpers.reference_loop import relative_difference
from tests.helpers.reference_loop import shards
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import small_batch
from tests.helpers.reference_loop import spread_autoencoder

OURS = TranscriptionGame("multi", CLASSES, residual=0.5, multistage=2.0)
PUBLISHED = plain_game(objective="multi", consistency=0.5, inner_step=True)


def make(game, dtype="float32", alternating=False, **overrides):
    keras.utils.set_random_seed(0)
    model = spread_autoencoder(dtype=dtype, **overrides)
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.5),
        keras.optimizers.Adam(0.01, epsilon=1e-3) if alternating else None,
        game,
    )
    return model


def train(game, dtype, strategy=None, at=None, **overrides):
    """Weights and logs after a step."""
    batch = small_batch(dtype=dtype)
    if strategy is None:
        model = make(game, dtype, **overrides)
        logs = model.train_step(batch)
        return all_weights(model), logs
    with strategy.scope():
        model = make(game, dtype, **overrides)
    data = tuple(shards(strategy, array, at) for array in batch)
    strategy.run(model.train_step, (data,))
    # Values of a metric add up over replicas: read the metrics themselves.
    logs = {m.name: m.result() for m in model.train_metrics}
    return all_weights(model), logs


def test_weights_of_alternating_steps_do_not_either(mirrored):
    arguments = {"alternating": True, "filters": (3,)}
    expected, _ = train(PUBLISHED, "float32", **arguments)
    weights, _ = train(PUBLISHED, "float32", mirrored(2), **arguments)
    assert relative_difference(weights, expected) < 1e-5


def test_batch_need_not_divide_evenly(mirrored):
    """5 and 3 of 8 images, also where `λ` follows their codes."""
    expected, logs = train(OURS, "float64", zeros=0.6)
    weights, found = train(OURS, "float64", mirrored(2), [5], zeros=0.6)
    assert relative_difference(weights, expected) < 1e-12
    assert set(found) == set(logs) - {"loss"}
    for name in found:
        np.testing.assert_allclose(found[name], logs[name], rtol=1e-5)


def test_replica_without_images_is_an_error(mirrored):
    """1 and 0 of 1 image."""
    strategy = mirrored(2)
    with strategy.scope():
        model = make(OURS)
    images, _ = small_batch(n=1)
    data = (shards(strategy, images, [1]),)

    @tf.function(autograph=False)
    def run():
        return strategy.run(model.predict_step, (data,))

    with pytest.raises(ValueError, match="no image"):
        run()


def test_fit_and_evaluate_agree_under_a_strategy(mirrored):
    """Replicas have 3 and 2 images of a batch, from the first batch on."""
    images = np.random.default_rng(0).uniform(-1, 1, (15, 16, 16, 1))
    images = images.astype("float32")
    runs = []
    for scope in (contextlib.nullcontext(), mirrored(2).scope()):
        with scope:
            model = make(
                TranscriptionGame(),
                "float64",
                image_shape=(16, 16, 1),
                filters=(3,),
            )
        model.run_eagerly = not runs
        history = model.fit(
            images, batch_size=5, shuffle=False, verbose=0
        ).history
        scores = model.evaluate(
            images, batch_size=5, verbose=0, return_dict=True
        )
        assert model.step == 3
        runs.append((all_weights(model), history, scores))
    (expected, history, scores), (weights, other_history, others) = runs
    assert relative_difference(weights, expected) < 1e-11
    for name in ("objective", "features_rate", "consistency"):
        np.testing.assert_allclose(
            other_history[name], history[name], rtol=1e-5, atol=1e-6
        )
    for name, value in scores.items():
        np.testing.assert_allclose(others[name], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "player, argument",
    [
        ("optimizer", "clipnorm"),
        ("decoder_optimizer", "clipvalue"),
        ("optimizer", "global_clipnorm"),
        ("optimizer", "gradient_accumulation_steps"),
    ],
)
def test_optimizers_that_need_the_whole_gradient_are_refused(
    mirrored, argument, player
):
    with mirrored(2).scope():
        model = small_autoencoder()
    optimizer = keras.optimizers.SGD(0.1, **{argument: 2})
    with pytest.raises(ValueError, match=f"`{player}` .* `{argument}`: "):
        model.compile(**{player: optimizer})
    small_autoencoder().compile(**{player: optimizer})
