import functools
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_csc.losses import Term
from keras_csc.losses import TranscriptionGame
from tests.helpers import references
from tests.helpers.reference_loop import CLASSES
from tests.helpers.reference_loop import Recorder
from tests.helpers.reference_loop import ReferenceLoop
from tests.helpers.reference_loop import all_weights
from tests.helpers.reference_loop import clone
from tests.helpers.reference_loop import gradients_of
from tests.helpers.reference_loop import recipe
from tests.helpers.reference_loop import relative_difference
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import small_batch
from tests.helpers.reference_loop import spread_weights

VIEWS = {"view_features": 3}
CLASS_PART = {"num_classes": CLASSES, "class_features": 2, "class_rate": 0.75}
GAMES = {
    "binary": TranscriptionGame(),
    "multi": TranscriptionGame(
        "multi", CLASSES + 1, consistency=0.5, shared_statistics=True
    ),
    "views": recipe(**CLASS_PART, **VIEWS, dictionary=2.0),
    "all": recipe(
        rate=0.25,
        epsilon=0.2,
        multistage=2.0,
        class_epsilon=4.0,
        **CLASS_PART,
    ),
}
PARENTS = {
    "nonnegative": True,
    "tight_frame": False,
    "sparsity": 0.1,
}
NETWORKS = {
    "csc": {},
    "nonnegative": {"nonnegative": True, "iterations": 4},
    "published": PARENTS,
    "rectified": {"rectified": True, **PARENTS},
    "conv": {"network": "conv"},
    "map": {"features": "map", "kernel_size": [5, 2], "strides": [4, 1]},
}
CASES = [
    *((game, "csc") for game in GAMES),
    *(("all", network) for network in NETWORKS if network != "csc"),
    ("multi", "map"),
]


def build(network, dtype):
    model = small_autoencoder(
        dtype=dtype, **{"sparsity": 0.125, **NETWORKS[network]}
    )
    spread_weights(model)
    return model


built = functools.cache(build)  # for tests that train none of its weights


def make(
    game,
    network="csc",
    dtype="float64",
    model_of=build,
    alternating=False,
    **arguments,
):
    model = model_of(network, dtype)
    model.compile(
        keras.optimizers.SGD(0.05),
        keras.optimizers.SGD(0.05) if alternating else None,
        GAMES[game],
        **arguments,
    )
    return model


@pytest.mark.parametrize("network", NETWORKS)
def test_the_networks_are_those_of_the_reference(network):
    model = make("all", network, model_of=built)
    reference = ReferenceLoop(model)
    images, _ = small_batch(dtype="float64")
    features, codes, moments, _ = reference.encode(images)
    output = model.encoder.activations(images, training=True)
    np.testing.assert_allclose(output.features, features, atol=1e-6)
    for ours, expected in zip(output.codes, codes):
        np.testing.assert_allclose(ours, expected, atol=1e-6)
    for ours, expected in zip(output.moments, moments):
        np.testing.assert_allclose(ours[0], expected[0], atol=1e-6)
        np.testing.assert_allclose(ours[1], expected[1], atol=1e-6)
    np.testing.assert_allclose(
        model._decode(tf.constant(features), True, moments=output.moments),
        reference.decode(features, moments=moments),
        atol=1e-5,
    )


def check_gradients(model, dtype, tolerance, alternating=False):
    reference = ReferenceLoop(model)
    images, labels = small_batch(dtype=dtype)
    for_encoder, for_decoder = gradients_of(
        model, model.game, images, labels, alternating
    )
    encoder_loss = functools.partial(
        reference.encoder_loss, one_pass=not alternating
    )
    weights = reference.encoder_weights
    own = dict(reference.decoder_weights)
    if alternating:
        own |= {v.path: weights[v.path] for v in model.decoder.shared_atoms}
    check_descent(model, for_encoder, encoder_loss, weights, tolerance)
    check_descent(model, for_decoder, reference.decoder_loss, own, tolerance)


def check_descent(model, gradients, loss, weights, tolerance):
    """Compares gradients with finite differences of a loss of weights."""
    images, labels = small_batch(dtype="float64")
    rng = np.random.default_rng(1)
    assert len(gradients) == len(weights)
    for path, gradient in zip(weights, gradients):
        direction = rng.normal(size=gradient.shape)
        values = []
        for step in (1e-6, -1e-6):
            moved = {**weights, path: weights[path] + step * direction}
            values.append(loss(moved, images, labels, model.game))
        expected = (values[0] - values[1]) / 2e-6
        scale = np.linalg.norm(gradient) * np.linalg.norm(direction)
        error = abs(np.sum(gradient * direction) - expected)
        assert error <= tolerance * (scale + 0.01), path


@pytest.mark.parametrize("game, network", CASES)
def test_gradients_of_one_pass_are_those_of_finite_differences(game, network):
    model = make(game, network, dtype="float32", model_of=built)
    check_gradients(model, "float32", 1e-4)


@pytest.mark.parametrize("network", ["csc", "conv"])
def test_each_players_gradients_are_those_of_its_own_loss(network):
    model = make("all", network, dtype="float32", model_of=built)
    check_gradients(model, "float32", 1e-4, alternating=True)


@pytest.mark.parametrize("network", ["csc", "map"])
def test_an_inner_step_ascends_the_rate_reduction_of_real_features(network):
    model = built(network, "float64")
    images, labels = small_batch(dtype="float64")
    optimizers = Recorder(), Recorder()
    game = TranscriptionGame("multi", CLASSES, inner_step=True)
    model.compile(*optimizers, game)
    reference = ReferenceLoop(model)
    model.train_step((images, labels))
    inner, _ = optimizers[0].given
    check_descent(
        model, inner, reference.inner_loss, reference.encoder_weights, 1e-7
    )


@pytest.mark.parametrize("inner_step", [False, True])
def test_what_moves_with_the_images_moves_once_a_step(inner_step):
    """Statistics, and `λ` by the share of zeros that it finds."""
    model = small_autoencoder(zeros=0.75, dtype="float64")
    images, labels = small_batch(dtype="float64")
    frozen = [keras.optimizers.SGD(0.0) for _ in range(2)]
    game = TranscriptionGame("multi", CLASSES, inner_step=inner_step)
    model.compile(*frozen, game)
    stage = model.encoder.coding_layers[0]
    output = model.encoder.activations(images, training=True)
    share = np.mean(np.asarray(output.codes[0]) == 0)
    expected = stage.sparsity * np.exp(0.2 * (0.75 - share))
    model.train_step((images, labels))
    mean = model.encoder.normalizations[0].moving_mean.numpy()
    np.testing.assert_allclose(mean, 0.1 * output.moments[0][0], rtol=1e-6)
    assert stage.sparsity == pytest.approx(expected, rel=1e-6)


def test_gradients_keep_the_precision_of_a_float64_model():
    check_gradients(make("all", model_of=built), "float64", 1e-7)


@pytest.mark.parametrize("network", ["csc", "conv"])
def test_a_step_of_one_pass_moves_all_weights_at_once(network):
    model = make("binary", network)
    images, _ = small_batch(dtype="float64")
    given = gradients_of(clone(model), model.game, images)
    by_hand = clone(model)
    real = by_hand.encoder.activations(images, training=True)
    by_hand._decode(real.features, True, moments=real.moments)
    by_hand.encoder.update_statistics(real)
    keras.optimizers.SGD(0.05).apply(
        list(map(tf.constant, itertools.chain(*given))),
        by_hand.trainable_variables,
    )
    by_hand.encoder.update_operator_norms()
    before = all_weights(model)
    model.train_step((images,))
    assert relative_difference(all_weights(model), before) > 1e-3
    assert relative_difference(all_weights(model), all_weights(by_hand)) < 1e-5


class SpreadGame(TranscriptionGame):
    """A game with a term of its own, as docs/how_to.md adds one."""

    def terms(self):
        own = Term(("spread",), spread, encoder=2.0, decoder=3.0)
        return [*super().terms(), own]


def spread(loop):
    return (loop.mean(spread_of(loop.z)),)


def spread_of(features):
    return tf.reduce_mean(tf.square(tf.reduce_mean(features, 0)))


def test_each_player_descends_its_loss_of_a_game_of_ones_own():
    """The decoder has no part in a term of the features of the images."""
    model = built("csc", "float64")
    images, _ = small_batch(dtype="float64")
    with tf.GradientTape() as tape:
        spread = spread_of(model.encoder.activations(images, True).features)
    own = tape.gradient(spread, model.encoder.trainable_variables)
    for_encoder, for_decoder = plays(model, SpreadGame())
    plain, decoder_plain = plays(model, TranscriptionGame())
    expected = [a + 2.0 * b for a, b in zip(plain, own)]
    assert relative_difference(for_encoder, expected) < 1e-6
    assert relative_difference(for_encoder, plain) > 1e-2
    assert relative_difference(for_decoder, decoder_plain) < 1e-6


def plays(model, game):
    """Gradients of both players of a model, which stays as it is."""
    model.compile(game=game)
    images, _ = small_batch(dtype="float64")
    state = model.get_weights()
    for_encoder, for_decoder, _ = model._play(tf.constant(images), None)
    model.set_weights(state)
    return for_encoder, for_decoder


class StillGame(TranscriptionGame):
    """The decoder descends nothing, the encoder what only its codes are in."""

    def losses(self, loop):
        _, _, terms = super().losses(loop)
        return tf.reduce_mean(loop.real.codes[0] ** 2), tf.constant(0.0), terms


def test_losses_need_not_depend_on_all_that_they_are_given():
    model = built("csc", "float64")
    images, _ = small_batch(dtype="float64")
    with tf.GradientTape() as tape:
        codes = model.encoder.activations(images, training=True).codes[0]
        size = tf.reduce_mean(codes**2)
    kernel = model.encoder.coding_layers[0].kernel
    expected = tape.gradient(size, kernel.value)
    for_encoder, for_decoder = plays(model, StillGame())
    of_kernel, *others = for_encoder
    np.testing.assert_allclose(of_kernel, expected, atol=1e-12)
    assert not any(np.any(gradient) for gradient in (*others, *for_decoder))


def test_reported_terms_are_those_of_the_game():
    model = make("all", dtype="float32")
    images, labels = small_batch()
    reference = ReferenceLoop(model)
    features, codes, moments, _ = reference.encode(images.astype("float64"))
    again, codes_again, *_ = reference.encode(
        reference.decode(features, moments=moments), moments=moments
    )
    logs = model.train_step((images, labels))
    expected = {
        "consistency": np.mean(np.sum((features - again) ** 2, 1)),
        "multistage": references.multistage(codes, codes_again),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(logs[name], value, rtol=1e-4)
    assert set(logs) == {*model.game.term_names, "loss"}
