import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_csc.losses import TranscriptionGame
from keras_csc.models import EncoderOutput
from tests.helpers import contracts
from tests.helpers import references

CLASSES = 5
ARGUMENTS = {
    "objective": "multi",
    "num_classes": 4,
    "epsilon": 0.25,
    "encoder_rate": 0.5,
    "decoder_rate": 2.0,
    "encoder_consistency": 0.125,
    "decoder_consistency": 0.75,
    "class_features": 3,
    "class_rate": 0.25,
    "class_epsilon": 2.0,
    "affine_classes": True,
    "view_features": 2,
    "view_rate": 0.125,
    "view_consistency": 1.5,
    "memory": 0.5,
    "multistage": 3.0,
    "dictionary": 0.375,
    "shared_statistics": True,
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


def multistage_distance(real, other, decay=0.25):
    return np.average(
        [
            np.mean((h_hat - h) ** 2) / np.mean(np.var(h, axis=(0, 1, 2)))
            for h, h_hat in zip(real.codes, other.codes)
        ],
        weights=[decay**number for number in range(len(real.codes))],
    )


def test_configuration_holds_every_argument():
    contracts.check_config(TranscriptionGame, **ARGUMENTS)


@pytest.mark.parametrize(
    "bad",
    [
        {"objective": "ternary"},
        {"epsilon": 0.0},
        {"epsilon": -0.5},
        {"encoder_rate": -1.0},
        {"decoder_rate": -1.0},
        {"encoder_consistency": -1.0},
        {"decoder_consistency": -1.0},
        {"class_features": -1},
        {"class_rate": -1.0},
        {"class_epsilon": 0.0},
        {"affine_classes": 1},
        {"view_features": -1},
        {"view_rate": -1.0},
        {"view_consistency": -1.0},
        {"memory": -0.1},
        {"memory": 1.0},
        {"multistage": -1.0},
        {"dictionary": -1.0},
    ],
    ids=str,
)
def test_bad_arguments_are_named(bad):
    contracts.check_rejects(TranscriptionGame, bad)


@pytest.mark.parametrize("num_classes", [None, 0])
def test_multi_needs_the_number_of_classes(num_classes):
    contracts.check_rejects(
        TranscriptionGame, {"num_classes": num_classes}, objective="multi"
    )


@settings(max_examples=8)
@given(st.integers(0, 1000), st.floats(0.1, 2))
def test_binary_rates_are_those_of_the_formulas(seed, epsilon):
    real, other, _ = draw(seed)
    z, z_hat = real.features, other.features
    terms = TranscriptionGame(epsilon=epsilon).rates(z, z_hat)
    expected = {
        "objective": references.rate_distance(z, z_hat, epsilon),
        "features_rate": references.coding_rate(z, epsilon),
        "reconstructed_rate": references.coding_rate(z_hat, epsilon),
    }
    assert set(terms) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(terms[name], value, rtol=1e-11)


@settings(max_examples=8)
@given(st.integers(0, 1000), st.floats(0.1, 2))
def test_multi_rates_are_those_of_the_formulas(seed, epsilon):
    real, other, labels = draw(seed)
    z, z_hat = real.features, other.features
    game = TranscriptionGame("multi", CLASSES, epsilon)
    terms = game.rates(z, z_hat, labels)
    distance = sum(
        references.rate_distance(z[labels == j], z_hat[labels == j], epsilon)
        for j in np.unique(labels)
    )
    expected = {
        "objective": references.transcription_objective(
            z, z_hat, labels, epsilon
        ),
        "features_rate": references.coding_rate(z, epsilon),
        "reconstructed_rate": references.coding_rate(z_hat, epsilon),
        "rate_reduction": references.rate_reduction(z, labels, epsilon),
        "reconstructed_rate_reduction": references.rate_reduction(
            z_hat, labels, epsilon
        ),
        "class_distance": distance,
    }
    assert set(terms) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(terms[name], value, rtol=1e-10)


@settings(max_examples=8)
@given(st.integers(0, 1000), st.integers(1, 6))
def test_class_rate_is_of_a_normalised_part(seed, size):
    real, other, labels = draw(seed)
    game = TranscriptionGame(
        num_classes=CLASSES, class_features=size, class_rate=0.75
    )
    z, z_hat = real.features, other.features
    terms = game.rates(z, z_hat, labels)
    part = z[:, :size] / np.linalg.norm(z[:, :size], axis=1, keepdims=True)
    expected = references.rate_reduction(part, labels)
    np.testing.assert_allclose(
        terms["class_rate_reduction"], expected, rtol=1e-9, atol=1e-9
    )
    plain = TranscriptionGame().losses(real, other)
    encoder_loss, decoder_loss, _ = game.losses(real, other, labels)
    np.testing.assert_allclose(
        encoder_loss, plain[0] - 0.75 * expected, rtol=1e-9, atol=1e-9
    )
    np.testing.assert_allclose(decoder_loss, plain[1])


@settings(max_examples=8)
@given(st.integers(0, 1000), st.floats(0.1, 8), st.booleans())
def test_class_rate_has_its_own_distortion_and_affine_classes(
    seed, epsilon, affine
):
    real, other, labels = draw(seed)
    game = TranscriptionGame(
        num_classes=CLASSES,
        class_features=3,
        class_epsilon=epsilon,
        affine_classes=affine,
    )
    rows = real.features[:, :3]
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    if affine:
        rows = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
    terms = game.rates(real.features, other.features, labels)
    np.testing.assert_allclose(
        terms["class_rate_reduction"],
        references.rate_reduction(rows, labels, epsilon),
        rtol=1e-9,
        atol=1e-9,
    )
    plain = TranscriptionGame().rates(real.features, other.features)
    np.testing.assert_allclose(terms["objective"], plain["objective"])


@pytest.mark.parametrize("affine", [False, True])
def test_a_coarse_class_rate_compares_pairs(affine):
    real, other, labels = draw(n=40)
    size, epsilon = 4, 1e3
    game = TranscriptionGame(
        num_classes=CLASSES,
        class_features=size,
        class_epsilon=epsilon,
        affine_classes=affine,
    )
    part = real.features[:, :size]
    part = part / np.linalg.norm(part, axis=1, keepdims=True)
    squares = (part @ part.T + affine) ** 2
    of_classes = sum(
        np.mean(labels == j) * np.mean(squares[labels == j][:, labels == j])
        for j in np.unique(labels)
    )
    scale = ((size + affine) / (2 * epsilon)) ** 2
    terms = game.rates(real.features, other.features, labels)
    np.testing.assert_allclose(
        terms["class_rate_reduction"],
        scale * (of_classes - np.mean(squares)),
        rtol=0.02,
    )


@settings(max_examples=8)
@given(st.integers(0, 1000), st.integers(1, 4))
def test_views_are_of_the_features_after_those_of_the_classes(seed, size):
    real, other, labels = draw(seed)
    views = draw(seed + 1)[0].features
    arguments = {"num_classes": CLASSES, "class_features": 2}
    game = TranscriptionGame(
        **arguments, view_features=size, view_rate=0.75, view_consistency=2.0
    )
    encoder_loss, decoder_loss, terms = game.losses(
        real, other, labels, views=views
    )
    parts = [z[:, 2 : 2 + size] for z in (real.features, views)]
    parts = [z / np.linalg.norm(z, axis=1, keepdims=True) for z in parts]
    rate = references.coding_rate(np.concatenate(parts))
    distance = np.mean(np.sum((parts[0] - parts[1]) ** 2, axis=1))
    np.testing.assert_allclose(terms["view_coding_rate"], rate, rtol=1e-9)
    np.testing.assert_allclose(terms["view_distance"], distance, rtol=1e-9)
    plain = TranscriptionGame(**arguments).losses(real, other, labels)
    np.testing.assert_allclose(
        encoder_loss, plain[0] - 0.75 * rate + 2 * distance, rtol=1e-9
    )
    np.testing.assert_allclose(decoder_loss, plain[1])


def test_views_must_be_given_where_they_are_needed():
    real, other, _ = draw()
    with pytest.raises(ValueError, match="views"):
        TranscriptionGame(view_features=2).losses(real, other)


@pytest.mark.parametrize("arguments", [{"objective": "multi"}, {}], ids=str)
def test_labels_must_be_given_where_they_are_needed(arguments):
    real, other, _ = draw()
    game = TranscriptionGame(num_classes=CLASSES, class_features=2, **arguments)
    with pytest.raises(ValueError, match="labels"):
        game.rates(real.features, other.features)


def test_binary_objective_vanishes_for_the_same_features():
    real, _, _ = draw()
    terms = TranscriptionGame().rates(real.features, real.features[::-1])
    np.testing.assert_allclose(terms["objective"], 0, atol=1e-12)


def test_consistency_is_the_mean_squared_distance():
    real, other, _ = draw()
    result = TranscriptionGame().consistency(real.features, other.features)
    expected = np.mean(
        [
            np.linalg.norm(a - b) ** 2
            for a, b in zip(real.features, other.features)
        ]
    )
    np.testing.assert_allclose(result, expected, rtol=1e-13)


def test_stage_distance_is_relative_to_the_variance():
    real, other, _ = draw(dtype="float32")
    game = TranscriptionGame(multistage=1.0)
    result = game.multistage_distance(real, other)
    np.testing.assert_allclose(
        result, multistage_distance(real, other), rtol=1e-5
    )
    scaled = [
        output(side.features, [100 * h for h in side.codes])
        for side in (real, other)
    ]
    np.testing.assert_allclose(
        game.multistage_distance(*scaled), result, rtol=1e-5
    )
    assert float(game.multistage_distance(real, real)) == 0


def test_dead_stage_gives_finite_distances():
    real, other, _ = draw(dtype="float32")
    dead = output(real.features, [0.0 * h for h in real.codes])
    game = TranscriptionGame(multistage=1.0)
    assert float(game.multistage_distance(dead, dead)) == 0
    assert np.isfinite(float(game.multistage_distance(dead, other)))


def test_stage_distance_keeps_the_precision_of_the_codes():
    real, other, _ = draw()
    result = TranscriptionGame(multistage=1.0).multistage_distance(real, other)
    np.testing.assert_allclose(
        result, multistage_distance(real, other), rtol=1e-12
    )


def test_no_gradient_of_the_stage_distance_reaches_the_codes_of_images():
    real, other, _ = draw(dtype="float32")
    game = TranscriptionGame(multistage=1.0)
    codes = [tf.constant(h) for h in real.codes]
    others = [tf.constant(h) for h in other.codes]
    with tf.GradientTape() as tape:
        tape.watch([codes, others])
        value = game.multistage_distance(
            real._replace(codes=codes), other._replace(codes=others)
        )
    gradients = tape.gradient(
        value, [codes, others], unconnected_gradients="zero"
    )
    weights = 0.25 ** np.arange(len(codes))
    weights /= np.sum(weights)
    for gradient, h, h_hat, weight in zip(gradients[1], codes, others, weights):
        variance = np.mean(np.var(h, axis=(0, 1, 2)))
        expected = 2 * weight * (h_hat - h) / (variance * np.size(h))
        np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-8)
    assert not any(np.any(gradient) for gradient in gradients[0])


@pytest.mark.parametrize("objective", ["binary", "multi"])
@pytest.mark.parametrize("multistage", [0.0, 3.0])
def test_losses_are_the_weighted_sums(objective, multistage):
    arguments = {
        **ARGUMENTS,
        "objective": objective,
        "num_classes": CLASSES,
        "multistage": multistage,
    }
    game = TranscriptionGame(**arguments)
    real, other, labels = draw(dtype="float32")
    z, z_hat = (s.features.astype("float64") for s in (real, other))
    views = z[::-1]
    encoder_loss, decoder_loss, terms = game.losses(
        real,
        other,
        labels,
        residuals=[2.0, 20.0, 5.0],
        views=views.astype("float32"),
    )
    objective_value = references.transcription_objective(
        z, z_hat, labels if objective == "multi" else None, 0.25
    )
    consistency = np.mean(np.sum((z - z_hat) ** 2, -1))
    part = z[:, :3] / np.linalg.norm(z[:, :3], axis=1, keepdims=True)
    part = np.concatenate([part, np.ones((len(part), 1))], axis=1)
    class_rate = references.rate_reduction(part, labels, 2.0)
    parts = [
        q[:, 3:5] / np.linalg.norm(q[:, 3:5], axis=1, keepdims=True)
        for q in (z, views)
    ]
    view_rate = references.coding_rate(np.concatenate(parts), 0.25)
    view_distance = np.mean(np.sum((parts[0] - parts[1]) ** 2, -1))
    np.testing.assert_allclose(
        encoder_loss,
        -0.5 * objective_value
        + 0.125 * consistency
        - 0.25 * class_rate
        - 0.125 * view_rate
        + 1.5 * view_distance
        + 0.375 * 2.5,
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        decoder_loss,
        2 * objective_value
        + 0.75 * consistency
        + multistage * multistage_distance(real, other),
        rtol=1e-5,
    )
    assert sorted(terms) == sorted(game.term_names)
    assert ("multistage" in terms) == bool(multistage)
    np.testing.assert_allclose(terms["residual"], 2.5)
    np.testing.assert_allclose(terms["consistency"], consistency, rtol=1e-5)


def test_the_default_game_is_the_published_one():
    real, other, _ = draw()
    encoder_loss, decoder_loss, terms = TranscriptionGame().losses(real, other)
    expected = references.rate_distance(real.features, other.features)
    np.testing.assert_allclose(encoder_loss, -expected, rtol=1e-11)
    np.testing.assert_allclose(decoder_loss, expected, rtol=1e-11)
    np.testing.assert_allclose(terms["objective"], expected, rtol=1e-11)


def test_term_names_are_unique_and_in_order():
    assert TranscriptionGame().term_names == [
        "objective",
        "features_rate",
        "reconstructed_rate",
        "consistency",
    ]
    names = TranscriptionGame("multi", 3, multistage=1.0).term_names
    assert len(names) == len(set(names)) == 8


@pytest.mark.parametrize("objective", ["binary", "multi"])
def test_gradients_are_those_of_finite_differences(objective):
    game = TranscriptionGame(objective, CLASSES)
    real, other, labels = draw()
    assert len(np.unique(labels)) < CLASSES
    rng = np.random.default_rng(9)
    z, z_hat = tf.constant(real.features), tf.constant(other.features)
    with tf.GradientTape() as tape:
        tape.watch((z, z_hat))
        value = game.rates(z, z_hat, labels)["objective"]
    by_z, by_z_hat = tape.gradient(value, (z, z_hat))
    used = labels if objective == "multi" else None

    def of_z(features):
        return references.transcription_objective(
            features, other.features, used
        )

    def of_z_hat(features):
        return references.transcription_objective(real.features, features, used)

    for function, point, gradient in (
        (of_z, real.features, by_z),
        (of_z_hat, other.features, by_z_hat),
    ):
        for _ in range(3):
            direction = rng.normal(size=point.shape)
            expected = references.directional_derivative(
                function, point, direction
            )
            np.testing.assert_allclose(
                np.sum(gradient * direction), expected, rtol=1e-7, atol=1e-9
            )


def test_twenty_steps_of_the_players_move_the_objective_their_way():
    game = TranscriptionGame()
    real, other, _ = draw(n=32)
    for sign in (1, -1):
        point = tf.Variable(other.features)
        values = []
        for _ in range(20):
            with tf.GradientTape() as tape:
                z_hat = tf.math.l2_normalize(point, 1)
                value = game.rates(real.features, z_hat)["objective"]
            values.append(float(value))
            point.assign_add(sign * tape.gradient(value, point))
        assert sign * (values[-1] - values[0]) > 0


def test_multi_without_labels_is_refused_by_name():
    real, other, _ = draw()
    game = TranscriptionGame("multi", CLASSES)
    with pytest.raises(ValueError, match="labels"):
        game.losses(real, other)
