import types

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_csc.losses import Game
from keras_csc.losses import Loop
from keras_csc.losses import MomentMemory
from keras_csc.losses import Term
from keras_csc.losses import TranscriptionGame
from keras_csc.losses.transcription import multistage
from keras_csc.models import EncoderOutput
from tests.helpers import contracts
from tests.helpers import references
from tests.helpers.reference_loop import plain_game

CLASSES = 5
ARGUMENTS = {
    "objective": "multi",
    "num_classes": CLASSES,
    "epsilon": 0.25,
    "residual": 0.375,
    "multistage": 3.0,
    "consistency": 0.5,
    "memory": 0.5,
    "inner_step": True,
    "shared_statistics": False,
}


def output(features, codes=()):
    """An `EncoderOutput` in training, with the moments of its codes."""
    axes = (0, 1, 2)
    moments = [(h.mean(axes), h.var(axes)) for h in codes]
    return EncoderOutput(features, list(codes), moments)


def draw(seed=0, n=16, d=6, dtype="float64"):
    rng = np.random.default_rng(seed)
    sides = []
    for _ in range(2):
        codes = [
            rng.normal(size=(n, size, size, filters))
            * np.arange(1, filters + 1)
            + 0.5
            for size, filters in ((4, 3), (2, 5))
        ]
        z = references.sphere_features(rng, n, d).astype(dtype)
        sides.append(output(z, [h.astype(dtype) for h in codes]))
    labels = rng.integers(0, CLASSES - 1, n)
    return *sides, labels


def test_configuration_holds_every_argument():
    contracts.check_config(TranscriptionGame, **ARGUMENTS)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_bad_arguments_are_named(name):
    arguments = {**ARGUMENTS, "inner_step": False}
    contracts.check_rejects(TranscriptionGame, {name: -1}, **arguments)


def test_a_game_of_classes_needs_their_number_and_labels():
    contracts.check_rejects(
        TranscriptionGame, {"num_classes": None}, objective="multi"
    )
    with pytest.raises(ValueError, match="labels"):
        plain_game(objective="multi").losses(Loop(*draw()[:2]))


@pytest.mark.parametrize(
    "names, values",
    [("size", (1.0,)), (("size",), tf.constant(1.0)), (("size",), (1.0, 2.0))],
    ids=["a name", "a scalar", "a name too few"],
)
def test_a_term_has_a_name_for_each_scalar(names, values):
    game = Game()
    game.terms = lambda: [Term(names, lambda loop: values)]
    with pytest.raises(ValueError, match="a tuple of names.*Received: .*size"):
        game.losses(Loop(None))


def test_an_inner_step_needs_classes():
    contracts.check_rejects(TranscriptionGame, {"inner_step": True})


@pytest.mark.parametrize("objective", ["binary", "multi"])
@settings(max_examples=6)
@given(st.integers(0, 1000), st.floats(0.1, 2))
def test_losses_are_the_weighted_sums_of_the_formulas(objective, seed, epsilon):
    real, other, labels = draw(seed)
    z, z_hat = real.features, other.features
    changes = {"objective": objective, "epsilon": epsilon, "memory": 0.0}
    inner_step = objective == "multi"
    game = TranscriptionGame(
        **{**ARGUMENTS, **changes, "inner_step": inner_step}
    )
    encoder = types.SimpleNamespace(residuals=lambda _: [2.0, 20.0, 5.0])
    loop = Loop(real, other, labels, encoder)
    for_encoder, for_decoder, terms = game.losses(loop)
    value = references.transcription_objective(
        z, z_hat, labels if objective == "multi" else None, epsilon
    )
    expected = {
        "objective": value,
        "features_rate": references.coding_rate(z, epsilon),
        "reconstructed_rate": references.coding_rate(z_hat, epsilon),
    }
    if objective == "multi":
        reductions = [
            references.rate_reduction(rows, labels, epsilon)
            for rows in (z, z_hat)
        ]
        expected |= {
            "rate_reduction": reductions[0],
            "reconstructed_rate_reduction": reductions[1],
            "class_distance": value - sum(reductions),
        }
        inner = game.inner_loss(loop)
        np.testing.assert_allclose(inner, -reductions[0], rtol=1e-10)
    apart = np.mean(np.sum((z - z_hat) ** 2, axis=1))
    stages = references.multistage(real.codes, other.codes)
    expected |= {"consistency": apart, "multistage": stages, "residual": 2.5}
    assert list(terms) == game.term_names == list(expected)
    for name, found in terms.items():
        np.testing.assert_allclose(found, expected[name], rtol=1e-9)
    np.testing.assert_allclose(
        for_encoder, -value + 0.5 * apart + 0.375 * 2.5, rtol=1e-9
    )
    np.testing.assert_allclose(
        for_decoder, value + 0.5 * apart + 3 * stages, rtol=1e-9
    )


@pytest.mark.parametrize("objective", ["binary", "multi"])
def test_rows_of_maps_are_their_places(objective):
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(2, 4, 2, 3, 6))
    labels = rng.integers(0, CLASSES, 4)
    rows = [each.reshape(24, 6) for each in maps]
    game = plain_game(objective=objective, num_classes=CLASSES)
    loop = Loop(output(maps[0]), output(maps[1]), labels)
    of_rows = Loop(*map(output, rows), np.repeat(labels, 6))
    found, expected = game.losses(loop)[2], game.losses(of_rows)[2]
    if objective == "multi":
        found["inner"] = game.inner_loss(loop)
        expected["inner"] = game.inner_loss(of_rows)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-9)


def test_dead_stage_gives_finite_distances():
    real, other, _ = draw(dtype="float32")
    dead = output(real.features, [0.0 * h for h in real.codes])
    assert float(multistage(Loop(dead, dead))[0]) == 0
    assert np.isfinite(float(multistage(Loop(dead, other))[0]))


# === The memory ===


def batches(count, n=7):
    rng = np.random.default_rng(0)
    for _ in range(count):
        yield (
            references.sphere_features(rng, n, 4),
            references.sphere_features(rng, n, 4),
            rng.integers(0, 3, n),
        )


def game_and_memory(momentum, objective):
    game = plain_game(objective=objective, num_classes=3, memory=momentum)
    return game, MomentMemory(game.moment_shapes(4), momentum, "float64")


def terms_of(game, z, z_hat, labels, memory, training=False):
    sides = [EncoderOutput(rows, [], []) for rows in (z, z_hat)]
    loop = Loop(*sides, labels, memory=memory, last=training)
    return game.losses(loop)[2]


def weighed(parts, momentum):
    """All rows and their count; those of `k` batches ago weigh `m^k`."""
    weights = [momentum**age for age in range(len(parts))][::-1]
    rows = np.concatenate([np.sqrt(w) * z for w, z in zip(weights, parts)])
    return rows, sum(w * len(z) for w, z in zip(weights, parts))


def rate_of(rows, count):
    """Coding rate; where a set has no rows, 0."""
    moment = rows.T @ rows * rows.shape[1] / (max(count, 1e-9) * 0.5)
    return 0.5 * np.linalg.slogdet(np.eye(len(moment)) + moment)[1]


def distance_of(rows, others, count):
    both = rate_of(np.concatenate([rows, others]), 2 * count)
    return both - rate_of(rows, count) / 2 - rate_of(others, count) / 2


@pytest.mark.parametrize("objective", ["binary", "multi"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_rates_are_those_of_all_rows_with_fading_weights(momentum, objective):
    game, memory = game_and_memory(momentum, objective)
    seen = []
    for batch in batches(4):
        seen.append(batch)
        terms = terms_of(game, *batch, memory, training=True)
        sides = [[each[side] for each in seen] for side in (0, 1)]
        (z, count), (z_hat, _) = (weighed(side, momentum) for side in sides)
        rates = rate_of(z, count), rate_of(z_hat, count)
        expected = {"features_rate": rates[0], "reconstructed_rate": rates[1]}
        distance = distance_of(z, z_hat, count)
        if objective == "multi":
            reductions, distance = list(rates), 0.0
            for label in range(3):
                own = [each[2] == label for each in seen]
                (z, n), (z_hat, _) = (
                    weighed([z[at] for z, at in zip(side, own)], momentum)
                    for side in sides
                )
                distance += distance_of(z, z_hat, n)
                reductions[0] -= n / count * rate_of(z, n)
                reductions[1] -= n / count * rate_of(z_hat, n)
            expected["rate_reduction"] = reductions[0]
            expected["reconstructed_rate_reduction"] = reductions[1]
            expected["class_distance"] = distance
            distance += sum(reductions)
        for name, value in {**expected, "objective": distance}.items():
            np.testing.assert_allclose(
                terms[name], value, rtol=1e-10, err_msg=name
            )


def test_two_terms_may_ask_for_the_same_moment():
    memory = MomentMemory({"sum": (2,)}, 0.5, "float64")
    for expected in ([1.0, 2.0], [1.5, 3.0]):
        features = EncoderOutput(tf.zeros((3, 2)), [], [])
        loop = Loop(features, memory=memory)
        for _ in range(2):
            sums = loop.sums({"sum": tf.constant([1.0, 2.0], "float64")})
            np.testing.assert_array_equal(sums["sum"], expected)


def test_a_memory_fades():
    for momentum in (np.nan, 1.0, -0.1):
        with pytest.raises(ValueError, match="`momentum` must be"):
            MomentMemory({}, momentum)


@pytest.mark.parametrize("objective", ["binary", "multi"])
def test_the_gradient_is_the_batchs_own_times_a_scale(objective):
    momentum = 0.75
    game, memory = game_and_memory(momentum, objective)
    past, (z, z_hat, labels) = batches(2)
    terms_of(game, *past, memory, training=True)

    def objective_of(rows):
        return terms_of(game, rows, z_hat, labels, memory)["objective"]

    rows = tf.constant(z)
    with tf.GradientTape() as tape:
        tape.watch(rows)
        value = objective_of(rows)
    gradient = tape.gradient(value, rows).numpy()
    for index in [(0, 0), (3, 2), (6, 3)]:
        direction = np.zeros_like(z)
        direction[index] = 1
        # By finite differences: the past is constant.
        slope = references.directional_derivative(objective_of, z, direction)
        np.testing.assert_allclose(
            gradient[index] * (1 - momentum), slope, rtol=1e-6, atol=1e-9
        )


@pytest.mark.parametrize("objective", ["binary", "multi"])
def test_only_training_is_remembered(objective):
    game, memory = game_and_memory(0.5, objective)
    ((z, z_hat, labels),) = batches(1)
    terms_of(game, z, z_hat, labels, memory)
    assert not any(np.any(value) for value in memory.variables.values())


def test_a_game_with_arguments_for_its_base_class_is_saved():
    class Weighed(TranscriptionGame):
        def __init__(self, weight=3.0, **kwargs):
            super().__init__(**kwargs)
            self.weight = weight

    config = Weighed(weight=2.0, memory=0.5).get_config()
    expected = TranscriptionGame(memory=0.5).get_config()
    assert config == {"weight": 2.0, **expected}
    assert Weighed.from_config(config).get_config() == config
