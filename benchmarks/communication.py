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

        - `gradients`: those of both players, for every step of an optimizer;
        - `second_moments`: `ZᵀZ`, `ẐᵀẐ` and counts, of every class in
          CTRL-Multi, those of the class part and of views, and the number of
          images;
        - `batch_statistics`: sums, sums of squares and counts of the
          normalisations;
        - `moving_averages`: of the normalisations.
    """
    encoder, decoder, game = model.encoder, model.decoder, model.game
    shapes = game.moment_shapes(encoder.feature_dim).values()
    moments = sum(math.prod(shape) for shape in shapes)
    moved = [sum(_sizes(variables)) for variables in model.moved_variables]
    statistics, second_moments, averages, gradients = [], [], [], []
    one_pass = len(moved) == 1
    if model.inner_step:
        classes = game.num_classes * (encoder.feature_dim**2 + 1)
        second_moments += 2 * [classes]
        statistics += 2 * _statistics(encoder)
        averages += _averages(encoder)
        gradients += moved[:1]
    for for_encoder, for_decoder in (
        [(True, True)] if one_pass else [(True, False), (False, True)]
    ):
        players = for_encoder + for_decoder
        measured = 0 if game.shared_statistics else 1 + players
        seen = bool(game.view_features) and not game.shared_statistics
        passes = 1 + for_encoder
        statistics += (passes + measured + seen * passes) * _statistics(encoder)
        statistics += (1 + for_decoder) * _statistics(decoder)
        second_moments += [1, *(1 + players) * [moments]]
        averages += _averages(encoder) + _averages(decoder)
    return {
        "gradients": gradients + moved,
        "second_moments": second_moments,
        "batch_statistics": statistics,
        "moving_averages": averages,
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


def _averages(player):
    return [
        size
        for layer in _live(player)
        for size in _sizes(layer.non_trainable_variables)
    ]


def _live(player):
    """The normalisations whose statistics are those of the batch."""
    return [each for each in player.normalizations if each.trainable]


def _sizes(variables):
    return [math.prod(variable.shape) for variable in variables]
