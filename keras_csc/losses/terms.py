"""What games measure in a `Loop`: functions that return tuples of scalars.

The first scalar is the term; the others only tell of it.
"""

import keras
from keras import ops

from keras_csc.ops import class_moments
from keras_csc.ops import moment_coding_rate
from keras_csc.ops import second_moment
from keras_csc.ops.coding_rate import moment_rate_distance
from keras_csc.ops.coding_rate import moment_rate_reduction
from keras_csc.ops.tensors import at_least_float32

# Weight of an upper stage's own error: its input has a variance of 1, and the
# first stage's, an image, some tenths of that.
UPPER = 1 / 50
# Weight of a stage's codes in `S`, in units of the stage's below it.
DECAY = 1 / 4


def binary(loop, epsilon):
    """`ΔR(Z, Ẑ)`; `R(Z)` and `R(Ẑ)`. In nats, of the global batch."""
    real = second_moment(loop.z)
    moments = loop.sums(
        {
            "real": real,
            "regenerated": second_moment(loop.z_hat),
            "count": ops.cast(ops.shape(loop.z)[0], real.dtype),
        }
    )
    real, other, count = moments.values()
    return (
        moment_rate_distance(real, other, count, epsilon),
        moment_coding_rate(real, count, epsilon),
        moment_coding_rate(other, count, epsilon),
    )


def multi(loop, num_classes, epsilon):
    """`ΔR(Z|y) + ΔR(Ẑ|y) + Σ_j ΔR(Z_j, Ẑ_j)`; `R(Z)`, `R(Ẑ)`, its three parts.

    In nats, of the global batch.
    """
    real, count = class_moments(loop.z, loop.labels, num_classes)
    other, _ = class_moments(loop.z_hat, loop.labels, num_classes)
    moments = loop.sums({"real": real, "regenerated": other, "count": count})
    real, other, count = moments.values()
    parts = (
        moment_rate_reduction(real, count, epsilon),
        moment_rate_reduction(other, count, epsilon),
        ops.sum(moment_rate_distance(real, other, count, epsilon)),
    )
    rates = (
        moment_coding_rate(ops.sum(moment, 0), ops.sum(count), epsilon)
        for moment in (real, other)
    )
    return sum(parts), *rates, *parts


def consistency(loop):
    """`C = mean_i ‖z_i - ẑ_i‖²` over images, or their places."""
    squares = ops.square(loop.z - loop.z_hat)
    return (loop.weigh(ops.mean(ops.sum(squares, -1))),)


def residual(loop):
    """`E = E_1 + Σ_{l>1} E_l / 50`, of every stage's own error."""
    first, *upper = loop.residuals()
    return (loop.weigh(first + UPPER * sum(upper)),)


def multistage(loop):
    """`S = Σ_l ρ^l mean ((h_l(x̂) - h_l(x)) / σ_l)² / Σ_l ρ^l`."""
    real, regenerated = loop.real, loop.regenerated
    stages = zip(real.codes, regenerated.codes, real.statistics)
    total = weights = 0.0
    for stage, (code, other, statistics) in enumerate(stages):
        weight = DECAY**stage
        total += weight * _relative_distance(code, other, *statistics)
        weights += weight
    return (loop.weigh(total / weights),)


def _relative_distance(code, other, mean, variance):
    """Mean square difference of codes in units of their mean variance."""
    difference = at_least_float32(other - ops.stop_gradient(code))
    error = ops.mean(ops.square(difference))
    variance = _mean_variance(code, mean, variance)
    return error / ops.maximum(variance, keras.config.epsilon())


def _mean_variance(code, mean, variance):
    """Mean variance of the channels of codes, from what normalised them.

    Where an encoder splits codes, the moments are of their positive and
    negative parts; one of the two is always 0.
    """
    channels = code.shape[-1]
    if mean.shape[-1] == channels:
        return ops.mean(variance)
    squares = variance + ops.square(mean)
    signed = mean[:channels] - mean[channels:]
    squares = squares[:channels] + squares[channels:]
    return ops.mean(squares - ops.square(signed))
