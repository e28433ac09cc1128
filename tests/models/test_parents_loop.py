"""Alternating steps, against a plain loop as in the parents' code."""

import keras
import tensorflow as tf

from keras_csc import ops
from tests.helpers.reference_loop import CLASSES
from tests.helpers.reference_loop import all_weights
from tests.helpers.reference_loop import clone
from tests.helpers.reference_loop import plain_game
from tests.helpers.reference_loop import relative_difference
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import small_batch
from tests.helpers.reference_loop import spread_weights


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
    model = small_autoencoder(
        dtype="float64",
        sparsity=0.125,
        nonnegative=True,
        tight_frame=False,
        rectified=True,
    )
    spread_weights(model)
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
