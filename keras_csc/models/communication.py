"""What a step of training adds up over replicas, from the model alone."""

import math

from keras_csc.layers import ConvSparseCoding2D


def reduced_numbers(model):
    """How many numbers a training step sums over the replicas, by kind.

    They do not depend on the batch. Every pass through the closed loop sums
    the second moments and the batch statistics once forwards, and once for
    every gradient that flows back through them.

    Args:
        model: compiled `ClosedLoopAutoencoder`.

    Returns:
        Dict of ints:

        - `gradients`: those of both players, for every update;
        - `gradient_norms`: the gradients once more, to measure their norms;
        - `second_moments`: `ZᵀZ`, `ẐᵀẐ` and counts, of every class in
          CTRL-Multi;
        - `batch_statistics`: sums, sums of squares and counts of the
          normalisations;
        - `moving_averages`: of the normalisations;
        - `operator_norms`: `λmax` and its vector, of every coding layer.
    """
    encoder, decoder, game = model.encoder, model.decoder, model.game
    updates = model.encoder_steps
    passes = 1 if model.update == "simultaneous" else updates + 1
    # Gradients through the encoder that measures regenerated images: the
    # decoder's and the encoder's own; through the other ones, one each.
    measuring = 0 if game.shared_statistics else 1 + 2
    statistics = (1 + 1 + measuring) * _moments(encoder) + 2 * _moments(decoder)
    classes = game.num_classes if game.objective == "multi" else 1
    moments = classes * (2 * encoder.feature_dim**2 + 1)
    players = [_size(p.trainable_variables) for p in (encoder, decoder)]
    return {
        "gradients": updates * players[0] + players[1],
        "gradient_norms": sum(players),
        "second_moments": passes * 3 * moments,
        "batch_statistics": passes * statistics,
        "moving_averages": passes
        * sum(2 * n.moving_mean.shape[0] for n in _normalizations(model)),
        "operator_norms": passes * sum(map(_solver, _coding_layers(encoder))),
    }


def _normalizations(model):
    return (*model.encoder.normalizations, *model.decoder.normalizations)


def _coding_layers(encoder):
    layers = (*encoder.coding_layers, encoder.head)
    return [each for each in layers if isinstance(each, ConvSparseCoding2D)]


def _moments(player):
    return sum(2 * n.moving_mean.shape[0] + 1 for n in player.normalizations)


def _solver(layer):
    return _size(
        v for v in layer.non_trainable_variables if v.path.count("norm")
    )


def _size(variables):
    return sum(math.prod(variable.shape) for variable in variables)
