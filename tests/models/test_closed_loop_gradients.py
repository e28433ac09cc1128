import functools
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_csc import ops
from keras_csc.losses import Game
from keras_csc.losses import Term
from keras_csc.losses import TranscriptionGame
from tests.helpers import references
from tests.helpers.reference_loop import CLASSES
from tests.helpers.reference_loop import ReferenceLoop
from tests.helpers.reference_loop import all_weights
from tests.helpers.reference_loop import clone
from tests.helpers.reference_loop import gradients_of
from tests.helpers.reference_loop import plain_game
from tests.helpers.reference_loop import relative_difference
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import small_batch
from tests.helpers.reference_loop import spread_autoencoder

TERMS = {"residual": 2.0, "multistage": 2.0, "consistency": 0.5}
GAMES = {
    "published": plain_game(shared_statistics=False),
    "binary": plain_game(epsilon=0.2, **TERMS),
    "multi": plain_game(objective="multi", num_classes=CLASSES + 1, **TERMS),
}
NETWORKS = {
    "csc": {},
    "nonnegative": {"nonnegative": True, "iterations": 4},
    "rectified": {"rectified": True},
    "published": {
        "nonnegative": True,
        "rectified": True,
        "output": "tanh",
        "tight_frame": False,
        "sparsity": 0.1,
    },
    "map": {"features": "map", "kernel_size": [5, 2], "strides": [4, 1]},
}
CASES = [
    *((game, "csc") for game in GAMES),
    *(("binary", n) for n in NETWORKS if n != "csc"),
    ("multi", "map"),
]


def build(network, dtype):
    return spread_autoencoder(
        dtype=dtype, **{"sparsity": 0.125, **NETWORKS[network]}
    )


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


def test_each_players_gradients_are_those_of_its_own_loss():
    model = make("multi", dtype="float32", model_of=built)
    check_gradients(model, "float32", 1e-4, alternating=True)


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
    np.testing.assert_allclose(mean, 0.1 * output.statistics[0][0], rtol=1e-6)
    assert stage.sparsity == pytest.approx(expected, rel=1e-6)


def test_gradients_keep_the_precision_of_a_float64_model():
    check_gradients(make("multi", model_of=built), "float64", 1e-7)


def test_a_step_of_one_pass_moves_all_weights_at_once():
    model = make("binary")
    images, _ = small_batch(dtype="float64")
    given = gradients_of(clone(model), model.game, images)
    by_hand = clone(model)
    real = by_hand.encoder.activations(images, training=True)
    by_hand.decoder(real.features, training=True, statistics=real.statistics)
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


class StillGame(Game):
    """The decoder descends nothing, the encoder what only its codes are in."""

    def terms(self):
        return [Term(("size",), size_of_codes, encoder=1.0)]


def size_of_codes(loop):
    return (tf.reduce_mean(loop.real.codes[0] ** 2),)


def test_losses_need_not_depend_on_all_that_they_are_given():
    model = built("csc", "float64")
    images, _ = small_batch(dtype="float64")
    with tf.GradientTape() as tape:
        codes = model.encoder.activations(images, training=True).codes[0]
        size = tf.reduce_mean(codes**2)
    kernel = model.encoder.coding_layers[0].kernel
    expected = tape.gradient(size, kernel.value)
    for_encoder, for_decoder = gradients_of(model, StillGame(), images)
    of_kernel, *others = for_encoder
    np.testing.assert_allclose(of_kernel, expected, atol=1e-12)
    assert not any(np.any(gradient) for gradient in (*others, *for_decoder))


def test_reported_terms_are_those_of_the_game():
    model = make("multi", dtype="float32")
    images, labels = small_batch()
    reference = ReferenceLoop(model)
    features, codes, moments, _ = reference.encode(images.astype("float64"))
    again, codes_again, *_ = reference.encode(
        reference.decode(features, moments=moments), moments=moments
    )
    logs = model.train_step((images, labels))
    expected = {
        "objective": references.transcription_objective(
            features, again, labels, model.game.epsilon
        ),
        "consistency": np.mean(np.sum((features - again) ** 2, 1)),
        "multistage": references.multistage(codes, codes_again),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(logs[name], value, rtol=1e-4)
    assert set(logs) == {*model.game.term_names, "loss"}


# === Alternating steps, against a plain loop as in the parents' code ===


def objective(z, z_hat, labels):
    """`T` of the Multi game, class by class as in the parents' code."""
    value = sum(ops.rate_reduction(x, labels, CLASSES) for x in (z, z_hat))
    for label in range(CLASSES):
        rows = (tf.boolean_mask(x, labels == label) for x in (z, z_hat))
        value += ops.rate_distance(*rows)
    return value


def encoder_turn(model, images, labels):
    """The parents' encoder step: `X̂` detached, ascend `T`."""
    with tf.GradientTape() as tape:
        real = model.encoder.activations(images, training=True)
        regenerated = model.decoder(
            real.features, training=True, statistics=real.statistics
        )
        again = model.encoder.activations(
            tf.stop_gradient(regenerated), training=True
        )
        loss = -objective(real.features, again.features, labels)
    return tape.gradient(loss, model.encoder.trainable_variables)


def inner_turn(model, images, labels):
    """The parents' inner step: ascend `ΔR(Z | y)`."""
    with tf.GradientTape() as tape:
        z = model.encoder.activations(images, training=True).features
        loss = -ops.rate_reduction(z, labels, CLASSES)
    return tape.gradient(loss, model.encoder.trainable_variables)


def decoder_turn(model, images, labels):
    """The parents' decoder step: all of it again, descend `T`.

    Atoms that encoder and decoder share move by what the decoder draws. The
    statistics move in this pass alone, so that they move once a step.
    """
    measuring = clone(model).encoder
    with tf.GradientTape() as tape:
        real = measuring.activations(images, training=True)
        regenerated = model.decoder(
            real.features, training=True, statistics=real.statistics
        )
        again = measuring.activations(regenerated, training=True)
        loss = objective(real.features, again.features, labels)
    gradients = tape.gradient(loss, drawing_variables(model))
    model.encoder.update_statistics(real)
    return gradients


def drawing_variables(model):
    decoder = model.decoder
    return [*decoder.trainable_variables, *decoder.shared_atoms]


def test_alternating_steps_are_those_of_a_plain_loop():
    images, labels = small_batch(dtype="float64")
    model = spread_autoencoder(
        dtype="float64",
        sparsity=0.125,
        nonnegative=True,
        tight_frame=False,
        rectified=True,
    )
    model.compile(
        keras.optimizers.SGD(0.05),
        keras.optimizers.SGD(0.05),
        plain_game(objective="multi", inner_step=True, shared_statistics=False),
    )
    by_hand = clone(model)
    for_encoder, for_decoder = (keras.optimizers.SGD(0.05) for _ in range(2))
    for _ in range(2):
        for turn in (inner_turn, encoder_turn):
            gradients = turn(by_hand, images, labels)
            for_encoder.apply(gradients, by_hand.encoder.trainable_variables)
            by_hand.encoder.update_operator_norms()
        gradients = decoder_turn(by_hand, images, labels)
        for_decoder.apply(gradients, drawing_variables(by_hand))
        by_hand.encoder.update_operator_norms()
        model.train_step((images, labels))
    assert model.step == 2
    assert int(model.optimizer.iterations) == 4
    assert relative_difference(all_weights(model), all_weights(by_hand)) < 1e-5
