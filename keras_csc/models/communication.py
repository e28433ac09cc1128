"""What a step of training sums over the replicas, from the model alone."""

import math


def reductions(model):
    """Sizes of what a training step sums over the replicas, by kind.

    They do not depend on the batch. Every pass through the closed loop sums
    second moments and batch statistics once forwards, and once for every
    gradient that flows back through them.

    Args:
        model: compiled `ClosedLoopAutoencoder`.

    Returns:
        Dict of lists with how many numbers each sum is of:

        - `gradients`: those of both players, for every update;
        - `gradient_norms`: the gradients once more, to measure their norms;
        - `second_moments`: `ZᵀZ`, `ẐᵀẐ` and counts, of every class in
          CTRL-Multi, those of the class part and of views, and the number of
          images;
        - `batch_statistics`: sums, sums of squares and counts of the
          normalisations;
        - `moving_averages`: of the normalisations.
    """
    encoder, decoder, game = model.encoder, model.decoder, model.game
    updates = model.encoder_steps
    passes = 1 if model.update == "simultaneous" else updates + 1
    # The encoder that measures regenerated images passes on the gradients of
    # both players, in one go if they are opposed; the others one each.
    backwards = 2 if game.opposition is None else 1
    measured = 0 if game.shared_statistics else 1 + backwards
    seen = 2 if game.view_features and not game.shared_statistics else 0
    statistics = (2 + measured + seen) * _statistics(encoder)
    statistics += 2 * _statistics(decoder)
    shapes = game.moment_shapes(encoder.feature_dim).values()
    moments = sum(math.prod(shape) for shape in shapes)
    players = [
        sum(_sizes(variables))
        for variables in (encoder.trainable_variables, model.decoder_variables)
    ]
    return {
        "gradients": updates * players[:1] + players[1:],
        "gradient_norms": players if model.gradient_norms else [],
        "second_moments": passes * [1, *(1 + backwards) * [moments]],
        "batch_statistics": passes * statistics,
        "moving_averages": passes
        * [
            size
            for player in (encoder, decoder)
            for layer in _live(player)
            for size in _sizes(layer.non_trainable_variables)
        ],
    }


def reduced_bytes(model):
    """Bytes of the `reductions` of a training step, by kind."""
    float64 = model.encoder.variable_dtype == "float64"
    return {
        name: sum(sizes) * (8 if float64 else 4)
        for name, sizes in reductions(model).items()
    }


def _statistics(player):
    return [2 * n.moving_mean.shape[0] + 1 for n in _live(player)]


def _live(player):
    """The normalisations whose statistics are those of the batch."""
    return [each for each in player.normalizations if each.trainable]


def _sizes(variables):
    return [math.prod(variable.shape) for variable in variables]
