import numpy as np
import pytest
import tensorflow as tf

from keras_csc.losses import Loop
from keras_csc.losses import MomentMemory
from keras_csc.models import EncoderOutput
from tests.helpers import references
from tests.helpers.reference_loop import recipe

CLASSES, DIMENSION = 3, 4


def batches(count, n=7):
    rng = np.random.default_rng(0)
    for _ in range(count):
        yield (
            references.sphere_features(rng, n, DIMENSION),
            references.sphere_features(rng, n, DIMENSION),
            rng.integers(0, CLASSES, n),
        )


def game_and_memory(momentum):
    game = recipe(num_classes=CLASSES, memory=momentum, class_features=2)
    return game, MomentMemory(
        game.moment_shapes(DIMENSION), momentum, "float64"
    )


def terms_of(game, z, z_hat, labels, remember):
    sides = [EncoderOutput(rows, [], []) for rows in (z, z_hat)]
    return game.losses(Loop(*sides, labels, remember))[2]


def weighted_rate(parts, momentum, epsilon=0.5):
    """Coding rate of all rows, those of `k` batches ago weighing `m^k`."""
    weights = [momentum**age for age in range(len(parts))][::-1]
    rows = np.concatenate([np.sqrt(w) * z for w, z in zip(weights, parts)])
    count = sum(w * len(z) for w, z in zip(weights, parts))
    if not count:
        return 0.0
    moment = rows.T @ rows * rows.shape[1] / (count * epsilon)
    return 0.5 * np.linalg.slogdet(np.eye(len(moment)) + moment)[1]


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_rates_are_those_of_all_rows_with_fading_weights(momentum):
    game, memory = game_and_memory(momentum)
    seen, others = [], []
    for z, z_hat, labels in batches(4):
        seen.append(z)
        others.append(z_hat)
        terms = terms_of(
            game, z, z_hat, labels, lambda m: memory(m, training=True)
        )
        rate = weighted_rate(seen, momentum)
        np.testing.assert_allclose(terms["features_rate"], rate, rtol=1e-11)
        both = [np.concatenate(pair) for pair in zip(seen, others)]
        expected = (
            weighted_rate(both, momentum)
            - rate / 2
            - weighted_rate(others, momentum) / 2
        )
        np.testing.assert_allclose(terms["objective"], expected, rtol=1e-10)


@pytest.mark.parametrize("term", ["objective", "class_rate_reduction"])
def test_the_gradient_is_the_batchs_own_times_a_scale(term):
    momentum = 0.75
    game, memory = game_and_memory(momentum)
    (past, past_hat, past_labels), (z, z_hat, labels) = batches(2)
    terms_of(
        game, past, past_hat, past_labels, lambda m: memory(m, training=True)
    )

    def objective_of(rows):
        """By NumPy's finite differences: the past is constant."""
        return float(terms_of(game, rows, z_hat, labels, memory)[term])

    rows = tf.constant(z)
    with tf.GradientTape() as tape:
        tape.watch(rows)
        value = terms_of(game, rows, z_hat, labels, memory)[term]
    gradient = tape.gradient(value, rows).numpy()
    step = 1e-5
    for index in [(0, 0), (3, 2), (6, 3)]:
        change = np.zeros_like(z)
        change[index] = step
        slope = (objective_of(z + change) - objective_of(z - change)) / (
            2 * step
        )
        np.testing.assert_allclose(
            gradient[index] * (1 - momentum), slope, rtol=1e-6, atol=1e-9
        )


def test_only_training_is_remembered():
    game, memory = game_and_memory(0.5)
    ((z, z_hat, labels),) = batches(1)
    before = [float(tf.norm(v)) for v in memory.variables.values()]
    terms_of(game, z, z_hat, labels, memory)
    assert [float(tf.norm(v)) for v in memory.variables.values()] == before
    terms_of(game, z, z_hat, labels, lambda m: memory(m, training=True))
    expected = {"real": z.T @ z, "regenerated": z_hat.T @ z_hat, "count": 7}
    for name, value in expected.items():
        np.testing.assert_allclose(memory.variables[name], value, rtol=1e-12)
