import inspect

import keras
from keras import ops

from keras_csc.ops import class_moments
from keras_csc.ops import moment_coding_rate
from keras_csc.ops import second_moment
from keras_csc.ops.coding_rate import moment_rate_distance
from keras_csc.ops.coding_rate import moment_rate_reduction
from keras_csc.ops.precision import at_least_float32
from keras_csc.ops.sphere import to_sphere
from keras_csc.replicas import num_replicas
from keras_csc.replicas import replica_sum
from keras_csc.replicas import shard_weight
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
# Weight of an upper stage's own error, in units of the first stage's.
UPPER = 1 / 50
# Weight of a stage's codes in `S`, in units of the stage's below it.
DECAY = 1 / 4
VIEW_TERMS = ("view_coding_rate", "view_distance")
TERM_NAMES = (
    "objective",
    "features_rate",
    "reconstructed_rate",
    *MULTI_TERMS,
    "class_rate_reduction",
    *VIEW_TERMS,
    "consistency",
    "multistage",
    "residual",
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
                          - class_rate · ΔR(P | y)
                          + dictionary · E
                          - view_rate · R(Q) + view_consistency · D
        decoder descends   decoder_rate · T + decoder_consistency · C
                           + multistage · S

    - `C = mean_i ‖z_i - ẑ_i‖²`: sample-wise consistency.
    - `P`: the first `class_features` features of every image, scaled to norm
      1. They carry the classes; the decoder takes no part in that, and the
      other features are free for what makes images. `class_epsilon` is the
      distortion `ε` of `ΔR(P | y)`. A fine one asks the features of a class to
      fill directions of their own. A coarse one asks the classes to differ:
      for `ε → ∞` it is `(d / 2ε)²`, with `d` numbers a row, times by how much
      the mean `⟨p, p'⟩²` of pairs of a class exceeds that of all pairs.
    - `affine_classes`: rows of `P` have a further coordinate, 1, so that the
      classes are affine subspaces, each about a mean of its own.
    - `Q`: the `view_features` features after them, scaled to norm 1, of every
      image and of a random view of it, `q_i` and `q'_i`; see `models.views`.
      `R(Q)` spreads them, and `D = mean_i ‖q_i - q'_i‖²` makes those of an
      image alike: they tell what images show, without labels. The decoder
      takes no part in that either.
    - `S = Σ_l ρ^l mean ((h_l(x̂) - h_l(x)) / σ_l)² / Σ_l ρ^l`, `ρ = 1/4`: the
      multi-stage closed loop, over the codes `h_l` of the encoder's stages,
      in units of their standard deviation `σ_l` in the batch, the root of the
      mean variance of their channels.
    - `E = E_1 + Σ_{l>1} E_l / 50`, `E_l = mean (x^{l-1} - A^l z^l)²`: what
      every stage's codes leave of its input, with both held fixed, so that
      only the atoms `A^l` descend it. For a tight frame that is the update of
      data-driven tight frames, and keeps its atoms ones that the input is made
      of. The upper stages, whose input has a deviation of 1, weigh less.
    - `memory`: rates are of second moments `M ← m · M + ZᵀZ`, in which the
      batches before weigh less by every step, and their counts alike. The
      gradient, which only the batch has, is scaled by `1/(1 - m)`. A batch
      need not hold as many images of every class as there are features then.
    - `shared_statistics`: `x̂` is normalised, inside the encoder, with the
      batch statistics of `x`.

    Args:
        objective: `"binary"` or `"multi"`.
        num_classes: int, number of classes, for `"multi"` and
            `class_features`.
        epsilon: float, distortion of the coding rates.
        encoder_rate: float, weight of `T` in the encoder.
        decoder_rate: float, weight of `T` in the decoder.
        encoder_consistency: float, weight of `C` in the encoder.
        decoder_consistency: float, weight of `C` in the decoder.
        class_features: int, how many features are in `P`; 0 for none.
        class_rate: float, weight of `ΔR(P | y)` in the encoder.
        class_epsilon: float, distortion of `ΔR(P | y)`.
        affine_classes: bool.
        view_features: int, how many features are in `Q`; 0 for none.
        view_rate: float, weight of `R(Q)` in the encoder.
        view_consistency: float, weight of `D` in the encoder.
        memory: float in `[0, 1)`, `m`; 0 for none.
        multistage: float, weight of `S` in the decoder.
        dictionary: float, weight of `E` in the encoder.
        shared_statistics: bool.

    Raises:
        ValueError: for an argument that is not as above, a negative weight, or
            a game that needs labels without `num_classes`.

    References:
        Dai et al., CTRL: closed-loop transcription to an LDR via minimaxing
        rate reduction, Entropy 2022, eq. 11-21; Dai et al., Closed-loop
        transcription via convolutional sparse coding, CPAL 2024; Cai et al.,
        Data-driven tight frame construction and image denoising, ACHA 2014;
        Tong et al., Unsupervised learning of structured representations via
        closed-loop transcription, CPAL 2024 (views); Ma et al., Segmentation of
        multivariate mixed data via lossy data coding and compression, PAMI
        2007 (rates, also about a mean).
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
        class_features=0,
        class_rate=1.0,
        class_epsilon=0.5,
        affine_classes=False,
        view_features=0,
        view_rate=1.0,
        view_consistency=25.0,
        memory=0.0,
        multistage=0.0,
        dictionary=0.0,
        shared_statistics=False,
    ):
        check_choice(("binary", "multi"), objective=objective)
        if num_classes is not None:
            check_integer(1, num_classes=num_classes)
        check_integer(
            0, class_features=class_features, view_features=view_features
        )
        check_number("(0, inf)", epsilon=epsilon, class_epsilon=class_epsilon)
        check_number("[0, 1)", memory=memory)
        check_bool(affine_classes=affine_classes)
        check_bool(shared_statistics=shared_statistics)
        check_at_least(0, encoder_rate=encoder_rate, decoder_rate=decoder_rate)
        check_at_least(0, encoder_consistency=encoder_consistency)
        check_at_least(0, decoder_consistency=decoder_consistency)
        check_at_least(0, class_rate=class_rate, multistage=multistage)
        check_at_least(0, view_rate=view_rate, dictionary=dictionary)
        check_at_least(0, view_consistency=view_consistency)
        if (objective == "multi" or class_features) and not num_classes:
            raise ValueError(
                "`num_classes` must be given with objective='multi' and with "
                f"`class_features`. Received: num_classes={num_classes}"
            )
        self.objective = objective
        self.num_classes = num_classes
        self.epsilon = epsilon
        self.encoder_rate = encoder_rate
        self.decoder_rate = decoder_rate
        self.encoder_consistency = encoder_consistency
        self.decoder_consistency = decoder_consistency
        self.class_features = class_features
        self.class_rate = class_rate
        self.class_epsilon = class_epsilon
        self.affine_classes = affine_classes
        self.view_features = view_features
        self.view_rate = view_rate
        self.view_consistency = view_consistency
        self.memory = memory
        self.multistage = multistage
        self.dictionary = dictionary
        self.shared_statistics = shared_statistics

    @property
    def needs_labels(self):
        """Whether the game is played on images with labels."""
        return self.objective == "multi" or bool(self.class_features)

    @property
    def term_names(self):
        """Names of the scalars that `losses` returns."""
        left_out = () if self.objective == "multi" else MULTI_TERMS
        if not self.multistage:
            left_out = (*left_out, "multistage")
        if not self.class_features:
            left_out = (*left_out, "class_rate_reduction")
        if not self.view_features:
            left_out = (*left_out, *VIEW_TERMS)
        if not self.dictionary:
            left_out = (*left_out, "residual")
        return [name for name in TERM_NAMES if name not in left_out]

    def moment_shapes(self, feature_dim):
        """Shapes of the `moments` of so many features."""
        classes = (self.num_classes,) if self.objective == "multi" else ()
        square = (*classes, feature_dim, feature_dim)
        shapes = {"real": square, "regenerated": square, "counts": classes}
        if self.class_features:
            size = self.class_features + self.affine_classes
            shapes["class_part"] = (self.num_classes, size, size)
            shapes["class_counts"] = (self.num_classes,)
        if self.view_features:
            shapes["view_part"] = (self.view_features, self.view_features)
            shapes["view_count"] = ()
        return shapes

    def moments(self, features, reconstructed, labels=None, views=None):
        """Second moments of the global batch, which all rates are made of.

        Args:
            features: tensor `Z` `(n, d)`, this replica's rows; or maps `(n,
                height, width, d)`, whose places are rows.
            reconstructed: tensor `Ẑ` of the same shape.
            labels: int tensor `(n,)`, if the game `needs_labels`; places have
                the label of their image.
            views: tensor `(n, d)`, features of a view of every image, for
                `view_features`.

        Returns:
            Dict of tensors of `moment_shapes`, the same on every replica.
        """
        if self.needs_labels:
            check_given(labels)
        features, labels = of_places(features, labels)
        reconstructed, _ = of_places(reconstructed)
        if self.objective == "multi":
            real, counts = class_moments(features, labels, self.num_classes)
            other, _ = class_moments(reconstructed, labels, self.num_classes)
        else:
            real, other = second_moment(features), second_moment(reconstructed)
            counts = ops.cast(ops.shape(features)[0], real.dtype)
        moments = {"real": real, "regenerated": other, "counts": counts}
        if self.class_features:
            moments["class_part"], moments["class_counts"] = class_moments(
                self.class_rows(features), labels, self.num_classes
            )
        if self.view_features:
            if views is None:
                raise ValueError(
                    "`views` must be given with `view_features`: features of "
                    "a random view of every image."
                )
            rows = ops.concatenate(
                [self.view_part(features), self.view_part(views)]
            )
            moments["view_part"] = second_moment(rows)
            moments["view_count"] = ops.cast(
                ops.shape(rows)[0], moments["view_part"].dtype
            )
        return replica_sum(moments)

    def rate_reduction(self, features, labels):
        """`ΔR(Z | y)` of the global batch, which an inner step ascends.

        Args:
            features: as in `moments`.
            labels: as in `moments`.
        """
        check_given(labels)
        moments, counts = replica_sum(
            class_moments(*of_places(features, labels), self.num_classes)
        )
        return moment_rate_reduction(moments, counts, self.epsilon)

    def class_rows(self, features):
        """Rows of `P`; homogeneous coordinates with `affine_classes`."""
        rows = class_part(features, self.class_features)
        if not self.affine_classes:
            return rows
        return ops.concatenate([rows, ops.ones_like(rows[:, :1])], axis=-1)

    def view_part(self, features):
        """Those `view_features` of every row, scaled to norm 1."""
        return class_part(
            features[:, self.class_features :], self.view_features
        )

    def rates(
        self, features, reconstructed, labels=None, remember=None, views=None
    ):
        """The rate reduction `T` and its parts.

        Args:
            features: as in `moments`.
            reconstructed: as in `moments`.
            labels: as in `moments`.
            remember: as in `losses`.
            views: as in `moments`.

        Returns:
            Dict of scalars in nats, the same on every replica: `objective`
            (`T`), `features_rate` (`R(Z)`), `reconstructed_rate` (`R(Ẑ)`); for
            `"multi"`, the three summands of `T`; with `class_features`,
            `class_rate_reduction` (`ΔR(P | y)`); with `view_features`,
            `view_coding_rate` (`R(Q)`).
        """
        moments = self.moments(features, reconstructed, labels, views)
        if remember is not None:
            moments = remember(moments)
        real, other = moments["real"], moments["regenerated"]
        both = self._binary if self.objective == "binary" else self._multi
        terms = both(real, other, moments["counts"])
        if self.class_features:
            terms["class_rate_reduction"] = moment_rate_reduction(
                moments["class_part"],
                moments["class_counts"],
                self.class_epsilon,
            )
        if self.view_features:
            terms["view_coding_rate"] = moment_coding_rate(
                moments["view_part"], moments["view_count"], self.epsilon
            )
        return terms

    def _binary(self, real, other, count):
        return {
            "objective": moment_rate_distance(real, other, count, self.epsilon),
            "features_rate": moment_coding_rate(real, count, self.epsilon),
            "reconstructed_rate": moment_coding_rate(
                other, count, self.epsilon
            ),
        }

    def _multi(self, real, other, counts):
        total = ops.sum(counts)

        def rate(moments):
            return moment_coding_rate(ops.sum(moments, 0), total, self.epsilon)

        distances = moment_rate_distance(real, other, counts, self.epsilon)
        parts = (
            moment_rate_reduction(real, counts, self.epsilon),
            moment_rate_reduction(other, counts, self.epsilon),
            ops.sum(distances),
        )
        return {
            "objective": sum(parts),
            "features_rate": rate(real),
            "reconstructed_rate": rate(other),
            **dict(zip(MULTI_TERMS, parts)),
        }

    def consistency(self, features, reconstructed):
        """`mean_i ‖z_i - ẑ_i‖²` over this replica's rows, or places."""
        difference = ops.square(features - reconstructed)
        return ops.mean(ops.sum(difference, -1))

    def multistage_distance(self, real, regenerated):
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
            _relative_distance(code, other, _mean_variance(code, *moments))
            for code, other, moments in zip(
                real.codes, regenerated.codes, real.moments
            )
        ]
        weights = [DECAY**stage for stage in range(len(distances))]
        weighted = [w * d for w, d in zip(weights, distances)]
        return sum(weighted) / sum(weights)

    def losses(
        self,
        real,
        regenerated,
        labels=None,
        remember=None,
        residuals=None,
        views=None,
    ):
        """What this replica's encoder and decoder descend.

        The gradients are to be summed over the replicas: the losses are
        divided by their number.

        Args:
            real: `EncoderOutput` of the images.
            regenerated: `EncoderOutput` of the regenerated images.
            labels: int tensor `(n,)`, if the game `needs_labels`.
            remember: function of the batch's `moments`, returns those of the
                memory with it; see `MomentMemory`.
            residuals: list of the scalars `E_l` of this replica's images, for
                `dictionary`.
            views: as in `moments`.

        Returns:
            `(encoder_loss, decoder_loss, terms)`; `terms` is a dict of the
            scalars behind them, whose means over the replicas are those of
            the global batch.
        """
        z, z_hat = real.features, regenerated.features
        terms = self.rates(z, z_hat, labels, remember, views)
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
        if self.class_features:
            encoder_loss -= self.class_rate * terms["class_rate_reduction"]
        if self.view_features:
            terms["view_distance"] = weight * self.consistency(
                self.view_part(z), self.view_part(views)
            )
            encoder_loss += (
                self.view_consistency * terms["view_distance"]
                - self.view_rate * terms["view_coding_rate"]
            )
        if self.multistage:
            multistage = weight * self.multistage_distance(real, regenerated)
            decoder_loss += self.multistage * multistage
            terms["multistage"] = multistage
        if self.dictionary:
            first, *upper = residuals
            terms["residual"] = weight * (first + UPPER * sum(upper))
            encoder_loss += self.dictionary * terms["residual"]
        replicas = num_replicas()
        return encoder_loss / replicas, decoder_loss / replicas, terms

    def get_config(self):
        names = inspect.signature(type(self)).parameters
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def check_given(labels):
    """Raises a `ValueError` if a game with labels is played without."""
    if labels is None:
        raise ValueError(
            "`labels` must be given with objective='multi' and with "
            "`class_features`: train on batches of (images, labels)."
        )


def of_places(features, labels=None):
    """Rows of vectors, and the label of each, of maps or of rows.

    Args:
        features: tensor `(n, ..., d)`.
        labels: int tensor `(n,)`, or `None`.

    Returns:
        `(rows, labels)`: `(m, d)` and `(m,)`, with all places of an image one
        after another.
    """
    if len(features.shape) == 2:
        return features, labels
    rows = ops.reshape(features, (-1, features.shape[-1]))
    if labels is not None:
        places = ops.shape(rows)[0] // ops.shape(labels)[0]
        labels = ops.repeat(labels, places)
    return rows, labels


def class_part(features, size):
    """The first `size` features, scaled to norm 1.

    Args:
        features: tensor `(n, d)`.
        size: int, at most `d`.

    Returns:
        Tensor `(n, size)`, rows of norm 1; a row of zeros stays what it is.
    """
    return to_sphere(at_least_float32(features)[:, :size])


def _relative_distance(code, other, variance):
    """Mean square difference in units of a variance."""
    difference = at_least_float32(other - ops.stop_gradient(code))
    error = ops.mean(ops.square(difference))
    return error / ops.maximum(variance, keras.config.epsilon())


def _mean_variance(code, mean, variance):
    """Mean variance of the channels of codes, from what normalised them.

    That are moments of the codes or, where an encoder splits them, of their
    positive and negative parts, of which one is always 0.
    """
    channels = code.shape[-1]
    if mean.shape[-1] == channels:
        return ops.mean(variance)
    squares = variance + ops.square(mean)
    signed = mean[:channels] - mean[channels:]
    squares = squares[:channels] + squares[channels:]
    return ops.mean(squares - ops.square(signed))
