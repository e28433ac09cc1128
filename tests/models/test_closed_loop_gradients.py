import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_csc.losses import TranscriptionGame
from tests.helpers.reference_loop import CLASSES
from tests.helpers.reference_loop import ReferenceLoop
from tests.helpers.reference_loop import all_weights
from tests.helpers.reference_loop import clone
from tests.helpers.reference_loop import gradients_of
from tests.helpers.reference_loop import relative_difference
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import small_batch
from tests.helpers.reference_loop import spread_weights

CONSISTENT = {"encoder_consistency": 0.5, "decoder_consistency": 0.25}
MULTI = {"objective": "multi", "num_classes": CLASSES + 1}
FULL = {
    **MULTI,
    **CONSISTENT,
    "encoder_rate": 0.25,
    "decoder_rate": 0.75,
    "multistage": 2.0,
    "multistage_decay": 0.5,
    "cooperation": True,
    "shared_statistics": True,
}
VIEWS = {"view_features": 3, "view_rate": 0.75, "view_consistency": 2.0}
GAMES = {
    "binary": {},
    "multi": MULTI,
    "weights": {"encoder_rate": 0.5, "decoder_rate": 2.0, "epsilon": 0.2},
    "consistency": CONSISTENT,
    "multistage": {"multistage": 2.0},
    "cooperation": {"cooperation": True},
    "shared statistics": {"shared_statistics": True},
    "class part": {
        "num_classes": CLASSES,
        "class_features": 3,
        "class_rate": 0.75,
    },
    "affine classes": {
        "num_classes": CLASSES,
        "class_features": 3,
        "class_epsilon": 4.0,
        "affine_classes": True,
    },
    "views": {"num_classes": CLASSES, "class_features": 2, **VIEWS},
    "views, shared": {"shared_statistics": True, **VIEWS},
    "dictionary": {"dictionary": 2.0, "upper_dictionary": 1.5},
    "all": FULL,
}
PARENTS = {
    "nonnegative": True,
    "tight_frame": False,
    "isotropic": False,
    "sparsity": 0.1,
}
NETWORKS = {
    "csc": {},
    "nonnegative": {"nonnegative": True, "iterations": 4, "ridge": 0.1},
    "published": PARENTS,
    "ista": {"algorithm": "ista", "iterations": 3},
    "no offset": {"nonnegative": True, "normalization_offset": False},
    "mirror": {"tied": True, "split": True},
    "rectified": {"tied": True, "rectified": True, **PARENTS},
    "split": {"split": True},
    "conv": {"network": "conv"},
    "map": {"features": "map"},
}
CASES = [
    *((game, "csc") for game in GAMES),
    *(("all", network) for network in NETWORKS if network != "csc"),
    *((game, "published") for game in ("binary", "multi")),
    *((game, "conv") for game in ("binary", "multi")),
    ("dictionary", "published"),
    *((game, "mirror") for game in ("binary", "cooperation", "dictionary")),
    ("multi", "rectified"),
    ("class part", "map"),
]


def build(network, dtype):
    model = small_autoencoder(
        dtype=dtype, **{"sparsity": 0.125, **NETWORKS[network]}
    )
    spread_weights(model)
    return model


built = functools.cache(build)  # for tests that train none of its weights


def make(game, network="csc", dtype="float64", model_of=build, **arguments):
    model = model_of(network, dtype)
    model.compile(
        keras.optimizers.SGD(0.05),
        keras.optimizers.SGD(0.05),
        TranscriptionGame(**GAMES[game]),
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


def check_gradients(model, dtype, tolerance):
    reference = ReferenceLoop(model)
    images, labels = small_batch(dtype=dtype)
    exact = images.astype("float64")
    for_encoder, for_decoder = gradients_of(model, model.game, images, labels)
    rng = np.random.default_rng(1)
    for player, gradients, loss, weights in (
        (
            model.encoder,
            for_encoder,
            reference.encoder_loss,
            reference.encoder_weights,
        ),
        (
            model.decoder,
            for_decoder,
            reference.decoder_loss,
            reference.decoder_weights,
        ),
    ):
        gradients = {
            variable.path: gradient
            for variable, gradient in zip(player.trainable_variables, gradients)
        }
        assert set(gradients) == set(weights)
        for path, gradient in gradients.items():
            direction = rng.normal(size=gradient.shape)
            values = []
            for step in (1e-6, -1e-6):
                moved = {**weights, path: weights[path] + step * direction}
                values.append(loss(moved, exact, labels, model.game))
            expected = (values[0] - values[1]) / 2e-6
            scale = np.linalg.norm(gradient) * np.linalg.norm(direction)
            error = abs(np.sum(gradient * direction) - expected)
            assert error <= tolerance * (scale + 0.01), path


@pytest.mark.parametrize("game, network", CASES)
def test_both_players_gradients_are_those_of_finite_differences(game, network):
    model = make(game, network, dtype="float32", model_of=built)
    check_gradients(model, "float32", 1e-4)


@pytest.mark.parametrize(
    "game, network",
    [("binary", "csc"), ("all", "csc"), ("multi", "published")],
)
def test_gradients_keep_the_precision_of_a_float64_model(game, network):
    check_gradients(make(game, network, model_of=built), "float64", 1e-7)


def log_det_rate(z):
    n, d = z.shape
    gram = tf.matmul(z, z, transpose_a=True)
    identity = tf.eye(d, dtype=z.dtype)
    return 0.5 * tf.linalg.logdet(identity + d / (n * 0.5) * gram)


def log_det_distance(z, z_hat):
    """`ΔR(Z, Ẑ)` as in the parents' code."""
    both = log_det_rate(tf.concat([z, z_hat], 0))
    return both - 0.5 * (log_det_rate(z) + log_det_rate(z_hat))


def log_det_objective(z, z_hat, labels=None):
    """`T` as in the parents' code, in float64; Multi with labels."""
    z, z_hat = tf.cast(z, "float64"), tf.cast(z_hat, "float64")
    if labels is None:
        return log_det_distance(z, z_hat)
    objective = log_det_rate(z) + log_det_rate(z_hat)
    for label in np.unique(labels):
        mask = labels == label
        real, again = tf.boolean_mask(z, mask), tf.boolean_mask(z_hat, mask)
        rates = log_det_rate(real) + log_det_rate(again)
        objective -= np.mean(mask) * rates
        objective += log_det_distance(real, again)
    return objective


def encoder_turn(model, images, labels=None):
    """The parents' encoder step: `X̂` detached, ascend `T`."""
    with tf.GradientTape() as tape:
        real = model.encoder.activations(images, training=True)
        regenerated = model._decode(real.features, True, moments=real.moments)
        again = model.encoder.activations(
            tf.stop_gradient(regenerated), training=True
        )
        loss = -log_det_objective(real.features, again.features, labels)
    gradients = tape.gradient(loss, model.encoder.trainable_variables)
    model.encoder.update_statistics(real.moments)
    return gradients


def decoder_turn(model, images, labels=None):
    """The parents' decoder step: all of it again, descend `T`.

    Atoms that encoder and decoder share move by what the decoder draws.
    """
    measuring = clone(model).encoder
    with tf.GradientTape() as tape:
        real = measuring.activations(images, training=True)
        regenerated = model._decode(real.features, True, moments=real.moments)
        again = measuring.activations(regenerated, training=True)
        loss = log_det_objective(real.features, again.features, labels)
    gradients = tape.gradient(loss, drawing_variables(model))
    model.encoder.update_statistics(real.moments)
    return gradients


def drawing_variables(model):
    decoder = model.decoder
    return [*decoder.trainable_variables, *decoder.shared_atoms]


def in_one_pass(model, images):
    """Both turns' gradients: of the encoder's variables, of the decoder's."""
    for_encoder = encoder_turn(clone(model), images)
    for_decoder = decoder_turn(clone(model), images)
    count = len(model.decoder.trainable_variables)
    shared = [v.path for v in model.decoder.shared_atoms]
    paths = [v.path for v in model.encoder.trainable_variables]
    for path, gradient in zip(shared, for_decoder[count:]):
        for_encoder[paths.index(path)] += gradient
    return for_encoder, for_decoder[:count]


@pytest.mark.parametrize("network", [n for n in NETWORKS if n != "map"])
def test_one_pass_gives_the_gradients_of_the_parents_two(network):
    model = make("binary", network, model_of=built)
    images, _ = small_batch(dtype="float64")
    expected, expected_decoder = in_one_pass(model, images)
    for_encoder, for_decoder = gradients_of(model, model.game, images)
    for ours, theirs in (
        (for_encoder, expected),
        (for_decoder, expected_decoder),
    ):
        assert len(ours) == len(theirs)
        for gradient, other in zip(ours, theirs):
            scale = np.max(np.abs(other))
            np.testing.assert_allclose(
                gradient, other, rtol=0, atol=1e-5 * scale + 1e-7
            )


@pytest.mark.parametrize("network", ["csc", "mirror", "conv"])
def test_a_simultaneous_step_applies_both_gradients_at_once(network):
    model = make("binary", network)
    images, _ = small_batch(dtype="float64")
    by_hand = clone(model)
    for_encoder, for_decoder = in_one_pass(by_hand, images)
    decoder_turn(by_hand, images)  # for its statistics
    keras.optimizers.SGD(0.05).apply(
        for_encoder, by_hand.encoder.trainable_variables
    )
    keras.optimizers.SGD(0.05).apply(
        for_decoder, by_hand.decoder.trainable_variables
    )
    by_hand.encoder.update_operator_norms()
    before = all_weights(model)
    model.train_step((images,))
    assert relative_difference(all_weights(model), before) > 1e-3
    assert relative_difference(all_weights(model), all_weights(by_hand)) < 1e-5


@pytest.mark.parametrize(
    "game, network, encoder_steps",
    [
        pytest.param("binary", "csc", 1, marks=pytest.mark.thorough),
        ("binary", "csc", 3),
        ("multi", "published", 1),
        ("binary", "mirror", 1),
        ("multi", "rectified", 1),
    ],
)
def test_alternating_steps_are_those_of_a_plain_loop(
    game, network, encoder_steps
):
    model = make(
        game, network, update="alternating", encoder_steps=encoder_steps
    )
    images, labels = small_batch(dtype="float64")
    if game == "binary":
        labels = None
    by_hand = clone(model)
    for_encoder, for_decoder = (keras.optimizers.SGD(0.05) for _ in range(2))
    for _ in range(2):
        for _ in range(encoder_steps):
            gradients = encoder_turn(by_hand, images, labels)
            for_encoder.apply(gradients, by_hand.encoder.trainable_variables)
            by_hand.encoder.update_operator_norms()
        gradients = decoder_turn(by_hand, images, labels)
        for_decoder.apply(gradients, drawing_variables(by_hand))
        by_hand.encoder.update_operator_norms()
        model.train_step((images, labels))
    assert int(model.encoder_optimizer.iterations) == 2 * encoder_steps
    assert int(model.decoder_optimizer.iterations) == 2
    assert relative_difference(all_weights(model), all_weights(by_hand)) < 1e-5
    simultaneous = make(game, network)
    for _ in range(2):
        simultaneous.train_step((images, labels))
    assert (
        relative_difference(all_weights(model), all_weights(simultaneous))
        > 1e-3
    )


class SpreadGame(TranscriptionGame):
    """A game with a term of its own, which is in the loss of some players."""

    def __init__(self, encoder=0.0, decoder=0.0, **kwargs):
        super().__init__(**kwargs)
        self.encoder, self.decoder = encoder, decoder

    @property
    def term_names(self):
        return [*super().term_names, "spread"]

    def losses(self, real, *args, **kwargs):
        for_encoder, for_decoder, terms = super().losses(real, *args, **kwargs)
        spread = spread_of(real.features)
        return (
            for_encoder + self.encoder * spread,
            for_decoder + self.decoder * spread,
            {**terms, "spread": spread},
        )


def spread_of(features):
    return tf.reduce_mean(tf.square(tf.reduce_mean(features, 0)))


@pytest.mark.parametrize("encoder, decoder", [(2.0, 0.0), (0.0, 3.0)])
def test_each_player_descends_its_loss_of_a_game_of_ones_own(encoder, decoder):
    """The decoder has no part in a term of the features of the images."""
    model = built("csc", "float64")
    images, _ = small_batch(dtype="float64")
    with tf.GradientTape() as tape:
        spread = spread_of(model.encoder.activations(images, True).features)
    own = tape.gradient(spread, model.encoder.trainable_variables)
    for_encoder, for_decoder = plays(model, SpreadGame(encoder, decoder))
    plain, decoder_plain = plays(model, TranscriptionGame())
    expected = [a + encoder * b for a, b in zip(plain, own)]
    assert relative_difference(for_encoder, expected) < 1e-6
    assert relative_difference(for_decoder, decoder_plain) < 1e-6
    if encoder:
        assert relative_difference(for_encoder, plain) > 1e-2


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

    def losses(self, real, *args, **kwargs):
        _, _, terms = super().losses(real, *args, **kwargs)
        return tf.reduce_mean(real.codes[0] ** 2), tf.constant(0.0), terms


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


def test_a_term_of_a_game_of_ones_own_is_logged():
    model = small_autoencoder()
    images, _ = small_batch()
    expected = spread_of(model.encode(images, training=True))
    model.compile(game=SpreadGame(), run_eagerly=True)
    history = model.fit(images, verbose=0).history
    np.testing.assert_allclose(history["spread"], expected, rtol=1e-4)


def test_reported_terms_are_those_of_the_game():
    model = make("all", dtype="float32")
    images, labels = small_batch()
    reference = ReferenceLoop(model)
    features, codes, moments, _ = reference.encode(images.astype("float64"))
    again, codes_again, *_ = reference.encode(
        reference.decode(features), moments=moments
    )
    for_encoder, for_decoder = gradients_of(
        clone(model), model.game, images, labels
    )
    logs = model.train_step((images, labels))
    expected = {
        "consistency": np.mean(np.sum((features - again) ** 2, 1)),
        "multistage": np.average(
            [
                np.mean((b - a) ** 2) / np.mean(np.var(a, axis=(0, 1, 2)))
                for a, b in zip(codes, codes_again)
            ],
            weights=[1, FULL["multistage_decay"]],
        ),
        "encoder_gradient_norm": norm(for_encoder),
        "decoder_gradient_norm": norm(for_decoder),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(logs[name], value, rtol=1e-4)
    assert set(logs) == {
        *model.game.term_names,
        "loss",
        "encoder_gradient_norm",
        "decoder_gradient_norm",
    }


def norm(gradients):
    return np.sqrt(sum(np.sum(np.square(g)) for g in gradients))
