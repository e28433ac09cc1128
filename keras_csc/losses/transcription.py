import keras
from keras import ops

from keras_csc.distribution import num_replicas
from keras_csc.distribution import replica_sum
from keras_csc.distribution import shard_weight
from keras_csc.ops import class_moments
from keras_csc.ops import moment_coding_rate
from keras_csc.ops import second_moment
from keras_csc.ops.coding_rate import moment_rate_distance
from keras_csc.ops.coding_rate import moment_rate_reduction
from keras_csc.ops.precision import at_least_float32
from keras_csc.validation import check_at_least
from keras_csc.validation import check_bool
from keras_csc.validation import check_choice
from keras_csc.validation import check_integer
from keras_csc.validation import check_number

MULTI_TERMS = (
    "rate_reduction",
    "reconstructed_rate_reduction",
    "class_distance",
)
TERM_NAMES = (
    "objective",
    "features_rate",
    "reconstructed_rate",
    *MULTI_TERMS,
    "consistency",
    "stages",
)


@keras.saving.register_keras_serializable(package="keras_csc")
class TranscriptionGame:
    """What encoder and decoder play for: closed-loop transcription (CTRL).

    With `Z = f(X)` the features of images, `X̂ = g(Z)` the regenerated images
    and `Ẑ = f(X̂)` their features, the encoder maximises and the decoder
    minimises a rate reduction `T`:

    - `"binary"`: `T = ΔR(Z, Ẑ)`;
    - `"multi"`: `T = ΔR(Z|y) + ΔR(Ẑ|y) + Σ_j ΔR(Z_j, Ẑ_j)`.

    With its default weights this is the game as published. The other terms
    are ours, unless said otherwise, and off by default. All of it is measured
    in feature space: no image is compared with another.

        encoder descends  -encoder_rate · T + encoder_consistency · C
        decoder descends   decoder_rate · T + decoder_consistency · C
                           + stages · S

    - `C = mean_i ‖z_i - ẑ_i‖²`: sample-wise consistency.
    - `S = Σ_l ρ^l mean ((h_l(x̂) - h_l(x)) / σ_l)² / Σ_l ρ^l`: the
      multi-stage closed loop, over the codes `h_l` of the encoder's stages,
      in units of their standard deviation `σ_l` in the batch, that is of the
      root of the mean variance of their channels.
    - `cooperation`: the gradient, at the features `z`, of what the decoder
      descends, is carried on into the encoder along `x → z`; the encoder that
      measures `x̂` is held fixed for it. It is no longer the plain game then:
      the encoder also learns features that can be decoded.
    - `shared_statistics`: `x̂` is normalised, inside the encoder, with the
      batch statistics of `x`.

    Args:
        objective: `"binary"` or `"multi"`.
        num_classes: int, number of classes, for `"multi"`.
        epsilon: float, distortion of the coding rates.
        encoder_rate: float, weight of `T` in the encoder.
        decoder_rate: float, weight of `T` in the decoder.
        encoder_consistency: float, weight of `C` in the encoder.
        decoder_consistency: float, weight of `C` in the decoder.
        stages: float, weight of `S` in the decoder.
        stage_decay: float, `ρ > 0`, how much less each stage weighs in `S`
            than the one below it.
        cooperation: bool.
        shared_statistics: bool.

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
        encoder_rate=1.0,
        decoder_rate=1.0,
        encoder_consistency=0.0,
        decoder_consistency=0.0,
        stages=0.0,
        stage_decay=1.0,
        cooperation=False,
        shared_statistics=False,
    ):
        check_choice(("binary", "multi"), objective=objective)
        if objective == "multi" and not num_classes:
            raise ValueError(
                "`num_classes` must be given with objective='multi'. "
                f"Received: num_classes={num_classes}"
            )
        if num_classes is not None:
            check_integer(1, num_classes=num_classes)
        check_number("(0, inf)", epsilon=epsilon, stage_decay=stage_decay)
        check_bool(cooperation=cooperation, shared_statistics=shared_statistics)
        check_at_least(0, encoder_rate=encoder_rate, decoder_rate=decoder_rate)
        check_at_least(0, encoder_consistency=encoder_consistency)
        check_at_least(0, decoder_consistency=decoder_consistency)
        check_at_least(0, stages=stages)
        self.objective = objective
        self.num_classes = num_classes
        self.epsilon = epsilon
        self.encoder_rate = encoder_rate
        self.decoder_rate = decoder_rate
        self.encoder_consistency = encoder_consistency
        self.decoder_consistency = decoder_consistency
        self.stages = stages
        self.stage_decay = stage_decay
        self.cooperation = cooperation
        self.shared_statistics = shared_statistics

    @property
    def term_names(self):
        """Names of the scalars that `losses` returns."""
        left_out = () if self.objective == "multi" else MULTI_TERMS
        if not self.stages:
            left_out = (*left_out, "stages")
        return [name for name in TERM_NAMES if name not in left_out]

    @property
    def opposition(self):
        """Factor of the decoder's loss that the encoder's is, or `None`.

        -1 for the game as published: what one descends the other ascends.
        """
        if self.stages or not self.decoder_rate:
            return None
        factor = -self.encoder_rate / self.decoder_rate
        same = self.encoder_consistency == factor * self.decoder_consistency
        return factor if same else None

    def rates(self, features, reconstructed, labels=None):
        """The rate reduction `T` and its parts, over the global batch.

        Args:
            features: tensor `Z` `(n, d)`, this replica's rows.
            reconstructed: tensor `Ẑ` `(n, d)`.
            labels: int tensor `(n,)`, for `"multi"`.

        Returns:
            Dict of scalars in nats, the same on every replica: `objective`
            (`T`), `features_rate` (`R(Z)`), `reconstructed_rate` (`R(Ẑ)`) and,
            for `"multi"`, the three summands of `T`.
        """
        if self.objective == "binary":
            return self._binary(features, reconstructed)
        if labels is None:
            raise ValueError(
                "`labels` must be given with objective='multi': train on "
                "batches of (images, labels)."
            )
        return self._multi(features, reconstructed, labels)

    def _binary(self, features, reconstructed):
        moment, other, count = replica_sum(
            (
                second_moment(features),
                second_moment(reconstructed),
                ops.cast(ops.shape(features)[0], features.dtype),
            )
        )
        distance = moment_rate_distance(moment, other, count, self.epsilon)
        return {
            "objective": distance,
            "features_rate": moment_coding_rate(moment, count, self.epsilon),
            "reconstructed_rate": moment_coding_rate(
                other, count, self.epsilon
            ),
        }

    def _multi(self, features, reconstructed, labels):
        moments, counts = class_moments(features, labels, self.num_classes)
        others, _ = class_moments(reconstructed, labels, self.num_classes)
        moments, others, counts = replica_sum((moments, others, counts))
        total = ops.sum(counts)

        def rate(moments):
            moment = ops.sum(moments, 0)
            return moment_coding_rate(moment, total, self.epsilon)

        distances = moment_rate_distance(moments, others, counts, self.epsilon)
        parts = (
            moment_rate_reduction(moments, counts, self.epsilon),
            moment_rate_reduction(others, counts, self.epsilon),
            ops.sum(distances),
        )
        return {
            "objective": sum(parts),
            "features_rate": rate(moments),
            "reconstructed_rate": rate(others),
            **dict(zip(MULTI_TERMS, parts)),
        }

    def consistency(self, features, reconstructed):
        """`mean_i ‖z_i - ẑ_i‖²` over this replica's rows."""
        difference = ops.square(features - reconstructed)
        return ops.mean(ops.sum(difference, -1))

    def stage_distance(self, real, regenerated):
        """`S = Σ_l ρ^l mean ((h_l(x̂) - h_l(x)) / σ_l)² / Σ_l ρ^l`.

        Args:
            real: `EncoderOutput` of the images, in training; `σ_l²` is the
                mean of the variances in its moments.
            regenerated: `EncoderOutput` of the regenerated images.

        Returns:
            Scalar: the mean over this replica's images, in units of the
            variances of the global batch.
        """
        distances = [
            _relative_distance(code, other, variance)
            for code, other, (_, variance) in zip(
                real.codes, regenerated.codes, real.moments
            )
        ]
        weights = [self.stage_decay**stage for stage in range(len(distances))]
        weighted = [w * d for w, d in zip(weights, distances)]
        return sum(weighted) / sum(weights)

    def losses(self, real, regenerated, labels=None):
        """What this replica's encoder and decoder descend.

        The gradients are to be summed over the replicas: the losses are
        divided by their number.

        Args:
            real: `EncoderOutput` of the images.
            regenerated: `EncoderOutput` of the regenerated images.
            labels: int tensor `(n,)`, for `"multi"`.

        Returns:
            `(encoder_loss, decoder_loss, terms)`; `terms` is a dict of the
            scalars behind them, whose means over the replicas are those of
            the global batch.
        """
        z, z_hat = real.features, regenerated.features
        terms = self.rates(z, z_hat, labels)
        weight = shard_weight(ops.shape(z)[0], z.dtype)
        consistency = weight * self.consistency(z, z_hat)
        encoder_loss = (
            self.encoder_consistency * consistency
            - self.encoder_rate * terms["objective"]
        )
        decoder_loss = (
            self.decoder_consistency * consistency
            + self.decoder_rate * terms["objective"]
        )
        terms["consistency"] = consistency
        if self.stages:
            stages = weight * self.stage_distance(real, regenerated)
            decoder_loss += self.stages * stages
            terms["stages"] = stages
        replicas = num_replicas()
        return encoder_loss / replicas, decoder_loss / replicas, terms

    def get_config(self):
        return {
            "objective": self.objective,
            "num_classes": self.num_classes,
            "epsilon": self.epsilon,
            "encoder_rate": self.encoder_rate,
            "decoder_rate": self.decoder_rate,
            "encoder_consistency": self.encoder_consistency,
            "decoder_consistency": self.decoder_consistency,
            "stages": self.stages,
            "stage_decay": self.stage_decay,
            "cooperation": self.cooperation,
            "shared_statistics": self.shared_statistics,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def _relative_distance(code, other, variance):
    """Mean square difference in units of the channels' mean variance."""
    difference = at_least_float32(other - ops.stop_gradient(code))
    error = ops.mean(ops.square(difference))
    return error / ops.maximum(ops.mean(variance), keras.config.epsilon())
