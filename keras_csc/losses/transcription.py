import keras
from keras import ops

from keras_csc.losses.game import Game
from keras_csc.losses.game import Term
from keras_csc.losses.game import consistency
from keras_csc.ops import class_moments
from keras_csc.ops import moment_coding_rate
from keras_csc.ops import second_moment
from keras_csc.ops.coding_rate import moment_rate_distance
from keras_csc.ops.coding_rate import moment_rate_reduction
from keras_csc.replicas import num_replicas
from keras_csc.validation import check_bool
from keras_csc.validation import check_choice
from keras_csc.validation import check_integer
from keras_csc.validation import check_number

BINARY_NAMES = ("objective", "features_rate", "reconstructed_rate")
MULTI_NAMES = (
    *BINARY_NAMES,
    "rate_reduction",
    "reconstructed_rate_reduction",
    "class_distance",
)


@keras.saving.register_keras_serializable(package="keras_csc")
class TranscriptionGame(Game):
    """Closed-loop transcription (CTRL) as published.

    `Z = f(X)` are the features of images, `X̂ = g(Z)` the regenerated images
    and `Ẑ = f(X̂)` their features. The encoder maximises a rate reduction `T`,
    and the decoder minimises it:

    - `"binary"`: `T = ΔR(Z, Ẑ)`;
    - `"multi"`: `T = ΔR(Z|y) + ΔR(Ẑ|y) + Σ_j ΔR(Z_j, Ẑ_j)`.

        encoder descends  -T + consistency · C
        decoder descends   T + consistency · C

    `C = mean_i ‖z_i - ẑ_i‖²` is the sample-wise consistency. No image is
    compared with another.

    Args:
        objective: `"binary"` or `"multi"`.
        num_classes: int, number of classes, for `"multi"`.
        epsilon: float, distortion of the coding rates.
        consistency: float, weight of `C`.
        inner_step: bool, whether the encoder alone takes a step that ascends
            `ΔR(Z|y)` before each alternating step; with `"multi"`.
        shared_statistics: bool, whether `x̂` is normalised, in the encoder,
            with the batch statistics of `x`. Ours, not published.

    Raises:
        ValueError: for an argument that is not as above.

    References:
        Dai et al., CTRL: closed-loop transcription to an LDR via minimaxing
        rate reduction, Entropy 2022, eq. 11-21; Dai et al., Closed-loop
        transcription via convolutional sparse coding, CPAL 2024.
    """

    def __init__(
        self,
        objective="binary",
        num_classes=None,
        epsilon=0.5,
        consistency=0.0,
        inner_step=False,
        shared_statistics=False,
    ):
        check_choice(("binary", "multi"), objective=objective)
        check_number("(0, inf)", epsilon=epsilon)
        check_number("[0, inf)", consistency=consistency)
        check_bool(inner_step=inner_step, shared_statistics=shared_statistics)
        if objective == "multi":
            check_integer(1, num_classes=num_classes)
        elif inner_step:
            raise ValueError("`inner_step` needs objective='multi'.")
        self.objective = objective
        self.num_classes = num_classes
        self.epsilon = epsilon
        self.consistency = consistency
        self.inner_step = inner_step
        self.shared_statistics = shared_statistics
        self.needs_labels = objective == "multi"

    def terms(self):
        measure = {
            "binary": (BINARY_NAMES, self._binary),
            "multi": (MULTI_NAMES, self._multi),
        }[self.objective]
        return [
            Term(*measure, encoder=-1.0, decoder=1.0),
            Term(
                ("consistency",),
                consistency,
                encoder=self.consistency,
                decoder=self.consistency,
            ),
        ]

    def inner_loss(self, loop):
        """What the encoder descends in an inner step, `-ΔR(Z | y)`."""
        moments, counts = loop.sums(
            class_moments(loop.z, loop.labels, self.num_classes)
        )
        reduction = moment_rate_reduction(moments, counts, self.epsilon)
        return -reduction / num_replicas()

    def _binary(self, loop):
        return binary_rates(loop, self.epsilon)

    def _multi(self, loop):
        labels, epsilon = loop.labels, self.epsilon
        (real, counts), (other, _) = loop.sums(
            [
                class_moments(rows, labels, self.num_classes)
                for rows in (loop.z, loop.z_hat)
            ]
        )
        parts = (
            moment_rate_reduction(real, counts, epsilon),
            moment_rate_reduction(other, counts, epsilon),
            ops.sum(moment_rate_distance(real, other, counts, epsilon)),
        )
        whole = (
            moment_coding_rate(ops.sum(each, 0), ops.sum(counts), epsilon)
            for each in (real, other)
        )
        return sum(parts), *whole, *parts


def binary_rates(loop, epsilon):
    """`ΔR(Z, Ẑ)`, `R(Z)` and `R(Ẑ)` of the global batch, in nats."""
    real, other = second_moment(loop.z), second_moment(loop.z_hat)
    moments = loop.sums(
        {
            "real": real,
            "regenerated": other,
            "count": ops.cast(ops.shape(loop.z)[0], real.dtype),
        }
    )
    real, other, count = moments.values()
    return (
        moment_rate_distance(real, other, count, epsilon),
        moment_coding_rate(real, count, epsilon),
        moment_coding_rate(other, count, epsilon),
    )
