import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_csc.losses import Loop
from keras_csc.losses import MomentMemory
from keras_csc.losses import RecipeGame
from keras_csc.losses import TranscriptionGame
from keras_csc.losses.recipe import multistage
from keras_csc.models import EncoderOutput
from tests.helpers import contracts
from tests.helpers import references
from tests.helpers.reference_loop import recipe

CLASSES = 5
PUBLISHED = {
    "objective": "multi",
    "num_classes": 4,
    "epsilon": 0.25,
    "consistency": 0.125,
    "inner_step": True,
    "shared_statistics": True,
}
OURS = {
    "num_classes": CLASSES,
    "rate": 2.0,
    "epsilon": 0.25,
    "multistage": 3.0,
    "dictionary": 0.375,
    "memory": 0.5,
    "class_features": 3,
    "class_rate": 0.25,
    "class_epsilon": 2.0,
    "view_features": 2,
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


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize(
    "game, arguments", [(TranscriptionGame, PUBLISHED), (RecipeGame, OURS)]
)
def test_configuration_holds_every_argument(game, arguments):
    contracts.check_config(game, **arguments)


@pytest.mark.parametrize(
    "game, bad",
    [
        (TranscriptionGame, {"objective": "ternary"}),
        (TranscriptionGame, {"epsilon": 0.0}),
        (TranscriptionGame, {"consistency": -1.0}),
        (TranscriptionGame, {"inner_step": 1}),
        (TranscriptionGame, {"shared_statistics": 1}),
        *((RecipeGame, {name: -1.0}) for name in OURS if name != "num_classes"),
        (RecipeGame, {"memory": 1.0}),
    ],
    ids=str,
)
def test_bad_arguments_are_named(game, bad):
    contracts.check_rejects(game, bad)


@pytest.mark.parametrize(
    "game, arguments",
    [
        (TranscriptionGame, {"objective": "multi"}),
        (RecipeGame, {"class_features": 2}),
    ],
)
def test_a_game_of_classes_needs_their_number_and_labels(game, arguments):
    contracts.check_rejects(game, {"num_classes": 0}, **arguments)
    real, other, _ = draw()
    loop = Loop(real, other)
    with pytest.raises(ValueError, match="labels"):
        game(num_classes=CLASSES, **arguments).losses(loop)


def test_an_inner_step_needs_classes():
    with pytest.raises(ValueError, match="inner_step"):
        TranscriptionGame(inner_step=True)


@pytest.mark.parametrize("objective", ["binary", "multi"])
@settings(max_examples=6)
@given(st.integers(0, 1000), st.floats(0.1, 2))
def test_published_game_is_that_of_the_formulas(objective, seed, epsilon):
    real, other, labels = draw(seed)
    z, z_hat = real.features, other.features
    game = TranscriptionGame(objective, CLASSES, epsilon, consistency=0.5)
    loop = Loop(real, other, labels)
    for_encoder, for_decoder, terms = game.losses(loop)
    multi = objective == "multi"
    value = references.transcription_objective(
        z, z_hat, labels if multi else None, epsilon
    )
    expected = {
        "objective": value,
        "features_rate": references.coding_rate(z, epsilon),
        "reconstructed_rate": references.coding_rate(z_hat, epsilon),
    }
    if multi:
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
    apart = expected["consistency"] = np.mean(np.sum((z - z_hat) ** 2, axis=1))
    assert list(terms) == game.term_names == list(expected)
    for name, found in terms.items():
        np.testing.assert_allclose(found, expected[name], rtol=1e-9)
    np.testing.assert_allclose(for_encoder, 0.5 * apart - value, rtol=1e-9)
    np.testing.assert_allclose(for_decoder, 0.5 * apart + value, rtol=1e-9)


def test_losses_of_the_recipe_are_the_weighted_sums():
    game = RecipeGame(**{**OURS, "memory": 0.0})
    real, other, labels = draw()
    z, z_hat = real.features, other.features
    views = z[::-1]
    loop = Loop(
        real,
        other,
        labels,
        residuals=lambda: [2.0, 20.0, 5.0],
        views=lambda: views,
    )
    for_encoder, for_decoder, terms = game.losses(loop)
    part = np.concatenate([unit(z[:, :3]), np.ones((len(z), 1))], axis=1)
    parts = unit(z[:, 3:5]), unit(views[:, 3:5])
    expected = {
        "objective": references.rate_distance(z, z_hat, 0.25),
        "features_rate": references.coding_rate(z, 0.25),
        "reconstructed_rate": references.coding_rate(z_hat, 0.25),
        "consistency": np.mean(np.sum((z - z_hat) ** 2, -1)),
        "class_rate_reduction": references.rate_reduction(part, labels, 2.0),
        "view_coding_rate": references.coding_rate(np.concatenate(parts), 0.25),
        "view_distance": np.mean(np.sum((parts[0] - parts[1]) ** 2, -1)),
        "multistage": references.multistage(real.codes, other.codes),
        "residual": 2.0 + 25.0 / 50,
    }
    assert list(terms) == game.term_names == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(terms[name], value, rtol=1e-9)
    np.testing.assert_allclose(
        for_encoder,
        -0.2 * expected["objective"]
        - 0.25 * expected["class_rate_reduction"]
        - 2.5 * expected["view_coding_rate"]
        + 15 * 2.5 * expected["view_distance"]
        + 0.375 * expected["residual"],
        rtol=1e-9,
    )
    np.testing.assert_allclose(
        for_decoder,
        2 * expected["objective"] + 3 * expected["multistage"],
        rtol=1e-9,
    )


def test_rows_of_maps_are_their_places():
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(2, 4, 2, 3, 6))
    labels = rng.integers(0, CLASSES, 4)
    rows = [each.reshape(24, 6) for each in maps]
    of_places = np.repeat(labels, 6)
    for game in (
        TranscriptionGame("multi", CLASSES),
        recipe(num_classes=CLASSES, class_features=2),
    ):
        found = game.losses(Loop(output(maps[0]), output(maps[1]), labels))
        expected = game.losses(Loop(*map(output, rows), of_places))
        for name, value in expected[2].items():
            np.testing.assert_allclose(found[2][name], value, rtol=1e-9)


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


def game_and_memory(momentum):
    game = recipe(num_classes=3, memory=momentum, class_features=2)
    return game, MomentMemory(game.moment_shapes(4), momentum, "float64")


def terms_of(game, z, z_hat, labels, remember):
    sides = [EncoderOutput(rows, [], []) for rows in (z, z_hat)]
    return game.losses(Loop(*sides, labels, remember))[2]


def weighted_rate(parts, momentum):
    """Coding rate of all rows, those of `k` batches ago weighing `m^k`."""
    weights = [momentum**age for age in range(len(parts))][::-1]
    rows = np.concatenate([np.sqrt(w) * z for w, z in zip(weights, parts)])
    count = sum(w * len(z) for w, z in zip(weights, parts))
    if not count:
        return 0.0
    moment = rows.T @ rows * rows.shape[1] / (count * 0.5)
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


def test_a_memory_fades():
    for momentum in (np.nan, 1.0, -0.1):
        with pytest.raises(ValueError, match="`momentum` must be"):
            MomentMemory({}, momentum)


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
