import keras
from keras import ops

from keras_csc.losses.game import Game
from keras_csc.losses.game import Term
from keras_csc.losses.game import consistency
from keras_csc.losses.game import distance
from keras_csc.losses.transcription import BINARY_NAMES
from keras_csc.losses.transcription import binary_rates
from keras_csc.ops import class_moments
from keras_csc.ops import moment_coding_rate
from keras_csc.ops import second_moment
from keras_csc.ops.coding_rate import moment_rate_reduction
from keras_csc.ops.tensors import at_least_float32
from keras_csc.ops.tensors import to_sphere
from keras_csc.validation import check_integer
from keras_csc.validation import check_number

# Weight of `T` in the encoder, in units of its weight in the decoder.
ENCODER = 1 / 10
# Weight of an upper stage's own error, in units of the first stage's.
UPPER = 1 / 50
# Weight of a stage's codes in `S`, in units of the stage's below it.
DECAY = 1 / 4
# Weights of `R(Q)`, and of `D` in units of it.
VIEW_RATE, VIEW_CONSISTENCY = 2.5, 15


@keras.saving.register_keras_serializable(package="keras_csc")
class RecipeGame(Game):
    """Closed-loop transcription with the terms that make images sharp.

    The rate reduction `T = ΔR(Z, Ẑ)` is as in `TranscriptionGame`. The other
    terms are ours, unless said otherwise. All terms are measured in feature
    space: no image is compared with another.

    ```
    encoder descends  -rate · T / 10 - class_rate · ΔR(P | y)
                      - 2.5 (R(Q) - 15 D) + dictionary · E
    decoder descends   rate · T + multistage · S
    ```

    - `S = Σ_l ρ^l mean ((h_l(x̂) - h_l(x)) / σ_l)² / Σ_l ρ^l`, `ρ = 1/4`, is
      the multi-stage closed loop. `h_l` are the codes of the encoder's stages.
      `σ_l` is their standard deviation in the batch: the root of the mean
      variance of their channels.
    - `E = E_1 + Σ_{l>1} E_l / 50`, `E_l = mean (x^{l-1} - D^l z^l)²`, is what
      every stage's codes leave of its input. Input and codes are held fixed,
      so only the dictionary `D^l` descends it. For a tight frame this is the
      update of data-driven tight frames: the atoms stay near what the input is
      made of. Upper stages weigh less, as their input has a deviation of 1.
    - `P` are the first `class_features` features of every image, which carry
      the classes. The other features are free for what makes images. `P` is
      scaled to norm 1 and has a further coordinate, 1. So classes are affine
      subspaces, each about a mean of its own. `class_epsilon` is the
      distortion `ε` of `ΔR(P | y)`. A fine one asks the features of a class to
      fill directions of their own. A coarse one asks the classes to differ.
      Let `p, p'` be a pair of rows of `d` numbers. For `ε → ∞` the reduction
      is `(d / 2ε)²` times (the mean `⟨p, p'⟩²` of pairs of a class less the
      mean of all pairs).
    - `Q` are the `view_features` features after them, scaled to norm 1: `q_i`
      of an image and `q'_i` of a random view of it (`models.views`). `R(Q)`
      spreads them. `D = mean_i ‖q_i - q'_i‖²` makes an image and its view
      alike. So they tell what images show, without labels.
    - `memory`: rates are of second moments `M ← m · M + ZᵀZ`, in which former
      batches weigh less by every step; counts likewise. Only the batch has a
      gradient, which is scaled by `1/(1 - m)`. Then a batch may hold fewer
      images of a class than there are features.
    - `x̂` is normalised, inside the encoder, with the batch statistics of `x`.

    Args:
        num_classes: int, number of classes, for `class_features`.
        rate: float, weight of `T`.
        epsilon: float, distortion of the coding rates.
        multistage: float, weight of `S`.
        dictionary: float, weight of `E`; 0 for an encoder without sparse codes.
        memory: float in `[0, 1)`, `m`; 0 for none.
        class_features: int, how many features are in `P`; 0 for none.
        class_rate: float, weight of `ΔR(P | y)`.
        class_epsilon: float, distortion of `ΔR(P | y)`.
        view_features: int, how many features are in `Q`; 0 for none.

    Raises:
        ValueError: for an argument that is not as above.

    References:
        - Dai et al., CTRL: closed-loop transcription to an LDR via minimaxing
          rate reduction, Entropy 2022, eq. 11-21.
        - Cai et al., Data-driven tight frame construction and image denoising,
          ACHA 2014.
        - Tong et al., Unsupervised learning of structured representations via
          closed-loop transcription, CPAL 2024 (views).
        - Ma et al., Segmentation of multivariate mixed data via lossy data
          coding and compression, PAMI 2007 (rates, also about a mean).
    """

    shared_statistics = True

    def __init__(
        self,
        num_classes=None,
        rate=1.0,
        epsilon=0.5,
        multistage=300.0,
        dictionary=3000.0,
        memory=0.9,
        class_features=0,
        class_rate=1.0,
        class_epsilon=0.5,
        view_features=0,
    ):
        check_number(
            "[0, inf)",
            rate=rate,
            multistage=multistage,
            dictionary=dictionary,
            class_rate=class_rate,
        )
        check_number("(0, inf)", epsilon=epsilon, class_epsilon=class_epsilon)
        check_number("[0, 1)", memory=memory)
        check_integer(
            0, class_features=class_features, view_features=view_features
        )
        if class_features:
            check_integer(1, num_classes=num_classes)
        self.num_classes = num_classes
        self.rate = rate
        self.epsilon = epsilon
        self.multistage = multistage
        self.dictionary = dictionary
        self.memory = memory
        self.class_features = class_features
        self.class_rate = class_rate
        self.class_epsilon = class_epsilon
        self.view_features = view_features
        self.needs_labels = bool(class_features)

    def terms(self):
        terms = [
            Term(
                BINARY_NAMES,
                self._rates,
                encoder=-ENCODER * self.rate,
                decoder=self.rate,
            ),
            Term(("consistency",), consistency),
        ]
        if self.class_features:
            names = ("class_rate_reduction",)
            terms.append(Term(names, self._classes, encoder=-self.class_rate))
        if self.view_features:
            terms += [
                Term(
                    ("view_coding_rate",),
                    self._spread_of_views,
                    encoder=-VIEW_RATE,
                ),
                Term(
                    ("view_distance",),
                    self._distance_of_views,
                    encoder=VIEW_CONSISTENCY * VIEW_RATE,
                ),
            ]
        if self.multistage:
            terms.append(
                Term(("multistage",), multistage, decoder=self.multistage)
            )
        if self.dictionary:
            terms.append(Term(("residual",), residual, encoder=self.dictionary))
        return terms

    def moment_shapes(self, feature_dim):
        """Shapes of the moments that the memory keeps."""
        square = (feature_dim, feature_dim)
        shapes = {"real": square, "regenerated": square, "count": ()}
        if self.class_features:
            size = self.class_features + 1
            shapes["class_part"] = (self.num_classes, size, size)
            shapes["class_counts"] = (self.num_classes,)
        if self.view_features:
            shapes["view_part"] = (self.view_features, self.view_features)
            shapes["view_count"] = ()
        return shapes

    def check_encoder(self, encoder):
        parts = self.class_features, self.view_features
        if sum(parts) > encoder.feature_dim:
            raise ValueError(
                "`class_features` and `view_features` of the game must be at "
                f"most `feature_dim`, {encoder.feature_dim}, in all. "
                f"Received: {parts[0]} and {parts[1]}"
            )
        if self.view_features and encoder.features == "map":
            raise ValueError(
                "`view_features` of the game must be 0 for features='map', "
                f"whose places differ in a view. Received: {parts[1]}"
            )
        if self.dictionary and not encoder.sparse:
            raise ValueError(
                "`dictionary` of the game must be 0 for an encoder without "
                f"sparse codes. Received: {self.dictionary}"
            )

    def _rates(self, loop):
        return binary_rates(loop, self.epsilon)

    def _classes(self, loop):
        """`ΔR(P | y)` of the global batch, in nats."""
        rows = _unit(loop.z[:, : self.class_features])
        rows = ops.concatenate([rows, ops.ones_like(rows[:, :1])], axis=-1)
        moments, counts = class_moments(rows, loop.labels, self.num_classes)
        sums = loop.sums({"class_part": moments, "class_counts": counts})
        return (moment_rate_reduction(*sums.values(), self.class_epsilon),)

    def _spread_of_views(self, loop):
        """`R(Q)` of the global batch, in nats."""
        rows = ops.concatenate(self._parts_of_views(loop))
        moment = second_moment(rows)
        count = ops.cast(ops.shape(rows)[0], moment.dtype)
        sums = loop.sums({"view_part": moment, "view_count": count})
        return (moment_coding_rate(*sums.values(), self.epsilon),)

    def _distance_of_views(self, loop):
        """`D = mean_i ‖q_i - q'_i‖²`."""
        return (loop.mean(distance(*self._parts_of_views(loop))),)

    def _parts_of_views(self, loop):
        """`Q` of the images and of their views: two tensors `(n, size)`."""
        start = self.class_features
        part = slice(start, start + self.view_features)
        return [_unit(rows[:, part]) for rows in (loop.z, loop.views)]


def _unit(rows):
    return to_sphere(at_least_float32(rows))


def residual(loop):
    """`E = E_1 + Σ_{l>1} E_l / 50`, of every stage's own error."""
    first, *upper = loop.residuals()
    return (loop.mean(first + UPPER * sum(upper)),)


def multistage(loop):
    """`S = Σ_l ρ^l mean ((h_l(x̂) - h_l(x)) / σ_l)² / Σ_l ρ^l`."""
    real, regenerated = loop.real, loop.regenerated
    stages = zip(real.codes, regenerated.codes, real.moments)
    total = weights = 0.0
    for stage, (code, other, moments) in enumerate(stages):
        weight = DECAY**stage
        total += weight * _relative_distance(code, other, *moments)
        weights += weight
    return (loop.mean(total / weights),)


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
