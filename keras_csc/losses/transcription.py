"""The game of closed-loop transcription, and the terms that it plays for."""

import functools

import keras
from keras import ops

from keras_csc.losses.game import Game
from keras_csc.losses.game import Term
from keras_csc.ops import class_moments
from keras_csc.ops import moment_coding_rate
from keras_csc.ops import second_moment
from keras_csc.ops.coding_rate import LEAST_COUNT
from keras_csc.ops.coding_rate import moment_rate_distance
from keras_csc.ops.coding_rate import moment_rate_reduction
from keras_csc.ops.tensors import at_least_float32
from keras_csc.replicas import num_replicas
from keras_csc.validation import check_bool
from keras_csc.validation import check_choice
from keras_csc.validation import check_integer
from keras_csc.validation import check_number

RATES = ("objective", "features_rate", "reconstructed_rate")
CLASS_RATES = (
    "rate_reduction",
    "reconstructed_rate_reduction",
    "class_distance",
)
# Weight of an upper stage's own error: its input has a variance of 1, and the
# first stage's, an image, some tenths of that.
UPPER = 1 / 50
# Weight of a stage's codes in `S`, in units of the stage's below it.
DECAY = 1 / 4


@keras.saving.register_keras_serializable(package="keras_csc")
class TranscriptionGame(Game):
    """Closed-loop transcription (CTRL) of an image by its sparse codes.

    `Z = f(X)` are the features of images, `X̂ = g(Z)` the regenerated images
    and `Ẑ = f(X̂)` their features. The encoder maximises a rate reduction `T`,
    and the decoder minimises it:

    - `"binary"`: `T = ΔR(Z, Ẑ)`, without labels;
    - `"multi"`: `T = ΔR(Z|y) + ΔR(Ẑ|y) + Σ_j ΔR(Z_j, Ẑ_j)`.

    ```
    encoder descends  -T + residual · E + consistency · C
    decoder descends   T + multistage · S + consistency · C
    ```

    - `E = E_1 + Σ_{l>1} E_l / 50`, `E_l = mean (x^{l-1} - D^l z^l)²`, is the
      error of the sparse coding itself: what every stage's codes leave of its
      input. Input and codes are held fixed, so only the dictionary `D^l`
      descends it. For a tight frame this is the update of data-driven tight
      frames. It keeps atoms that images are made of.
    - `S = Σ_l ρ^l mean ((h_l(x̂) - h_l(x)) / σ_l)² / Σ_l ρ^l`, `ρ = 1/4`, is
      the multi-stage closed loop: it compares the codes `h_l` of an image with
      the codes of its regeneration. `σ_l` is their standard deviation in the
      batch: the root of the mean variance of their channels.
    - `C = mean_i ‖z_i - ẑ_i‖²` is the sample-wise consistency.

    `S` compares the codes of an image with the codes of its regeneration. No
    term compares their pixels. `T` compares the features of whole sets of
    images.

    The published game has neither `E` nor `S` nor a memory: `residual=0,
    multistage=0, memory=0, shared_statistics=False`. These four are ours.

    Args:
        objective: `"binary"` or `"multi"`.
        num_classes: int, number of classes, for `"multi"`.
        epsilon: float, distortion of the coding rates.
        residual: float, weight of `E`.
        multistage: float, weight of `S`. The larger it is, the nearer a
            regeneration is to its image, and the smoother. 0 for the
            distance of sets alone. The flag files of `"multi"`, whose `T` is
            larger, have 300.
        consistency: float, weight of `C`.
        memory: float in `[0, 1)`, `m`. Rates are of the second moments
            `M ← m · M + ZᵀZ` of many batches (`MomentMemory`), so a batch may
            hold fewer images than there are features. 0 for none.
        inner_step: bool, whether the encoder alone takes a step that ascends
            `ΔR(Z|y)` before each alternating step; with `"multi"`.
        shared_statistics: bool, whether `x̂` is normalised, in the encoder,
            with the batch statistics of `x`.

    Raises:
        ValueError: for an argument that is not as above.

    References:
        - Dai et al., CTRL: closed-loop transcription to an LDR via minimaxing
          rate reduction, Entropy 2022, eq. 11-21.
        - Dai et al., Closed-loop transcription via convolutional sparse
          coding, CPAL 2024.
        - Tong et al., Unsupervised learning of structured representations via
          closed-loop transcription, CPAL 2024 (`C`).
        - Cai et al., Data-driven tight frame construction and image denoising,
          ACHA 2014 (`E`).
    """

    def __init__(
        self,
        objective="binary",
        num_classes=None,
        epsilon=0.5,
        residual=1000.0,
        multistage=10.0,
        consistency=0.0,
        memory=0.95,
        inner_step=False,
        shared_statistics=True,
    ):
        check_choice(("binary", "multi"), objective=objective)
        check_number("(0, inf)", epsilon=epsilon)
        check_number(
            "[0, inf)",
            residual=residual,
            multistage=multistage,
            consistency=consistency,
        )
        check_number("[0, 1)", memory=memory)
        check_bool(inner_step=inner_step, shared_statistics=shared_statistics)
        if objective == "multi":
            check_integer(1, num_classes=num_classes)
        elif inner_step:
            raise ValueError(
                "`inner_step` must be False for objective='binary'. "
                f"Received: {inner_step}"
            )
        self.objective = objective
        self.num_classes = num_classes
        self.epsilon = epsilon
        self.residual = residual
        self.multistage = multistage
        self.consistency = consistency
        self.memory = memory
        self.inner_step = inner_step
        self.shared_statistics = shared_statistics
        self.needs_labels = objective == "multi"

    def terms(self):
        # `T` and `C` are always measured.
        both = {"encoder": self.consistency, "decoder": self.consistency}
        played = [
            self._transcription(),
            Term(("consistency",), consistency, **both),
        ]
        if self.multistage:
            names, weight = ("multistage",), self.multistage
            played.append(Term(names, multistage, decoder=weight))
        if self.residual:
            names, weight = ("residual",), self.residual
            played.append(Term(names, residual, encoder=weight))
        return played

    def _transcription(self):
        """`T`, which the players play for."""
        given = {"epsilon": self.epsilon}
        names, measure = RATES, binary
        if self.objective == "multi":
            names, measure = (*RATES, *CLASS_RATES), multi
            given["num_classes"] = self.num_classes
        measure = functools.partial(measure, **given)
        return Term(names, measure, encoder=-1.0, decoder=1.0)

    def moment_shapes(self, feature_dim):
        classes = (self.num_classes,) if self.objective == "multi" else ()
        moments = (*classes, feature_dim, feature_dim)
        return {"real": moments, "regenerated": moments, "count": classes}

    def inner_loss(self, loop):
        moments, counts = loop.sums(
            class_moments(loop.z, loop.labels, self.num_classes)
        )
        reduction = moment_rate_reduction(moments, counts, self.epsilon)
        return -reduction / num_replicas()


# === Terms: functions of a `Loop` that return tuples of scalars ===


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
    # Every rate once: it takes a factorisation, and so does its gradient.
    rates = moment_coding_rate(
        ops.stack([real, other, real + other]),
        ops.stack([count, count, 2 * count]),
        epsilon,
    )
    total = ops.sum(count)
    wholes = moment_coding_rate(
        ops.sum(ops.stack([real, other]), 1), ops.stack([total, total]), epsilon
    )
    shares = count / ops.maximum(total, LEAST_COUNT)
    reductions = ops.unstack(wholes - ops.sum(shares * rates[:2], -1))
    distance = ops.sum(rates[2] - 0.5 * rates[0] - 0.5 * rates[1])
    parts = *reductions, distance
    return sum(parts), wholes[0], wholes[1], *parts


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
