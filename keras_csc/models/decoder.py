"""The decoder: from features to an image, with the encoder's atoms."""

import keras
from keras import ops

from keras_csc.layers import ConvSparseDecoding2D
from keras_csc.models.encoder import Encoder
from keras_csc.models.inputs import as_features
from keras_csc.models.inputs import check_shape
from keras_csc.models.player import Player
from keras_csc.ops.tensors import at_least_float32
from keras_csc.validation import check_bool
from keras_csc.validation import check_choice
from keras_csc.validation import shown

CALIBRATION = 512  # images that are enough to measure the gains
# Below this part of a stage's deviation a channel keeps a gain of 1.
LEAST_DEVIATION = 1e-3


@keras.saving.register_keras_serializable(package="keras_csc")
class Decoder(Player):
    """The encoder, read downwards: every stage draws with its own atoms.

    Stage `l` of the encoder, with the dictionary `D^l`, hands up
    `x^l = γ (z^l - m_l) / s_l + β`. Here `z^l` are its codes, or the positive
    and negative parts of signed codes. Downwards:

        x̂^L     = A_head (g₀ f)
        ẑ^l     = (x̂^l - β) / γ · s_l · g_l + m_l,  positive less negative part
        x̂^{l-1} = D^l ẑ^l
        image   = clip(g_out Pᵀ x̂⁰, -1, 1)

    `P` is `ops.prefilter` if the encoder is lapped, else 1. The decoder's own
    weights are gains: `g₀` for the features, `g_out` for the image and one for
    every channel of a stage. They are 1 until `calibrate` measures them. The
    normalisations' `m_l`, `s_l`, `β` and `γ` are constants here. What is drawn
    gives gradients to the gains and to the atoms.

    Args:
        encoder: `Encoder`, whose layers it draws with. Its weights are not
            the decoder's. So save, export and train the two together, as the
            parts of a `ClosedLoopAutoencoder`.
        rectified: bool, whether negative numbers among `ẑ^l` become 0: the
            encoder's parts and non-negative codes are never negative. Without
            it the image is linear in the features, but for its limits.
        output: `"clip"`, or `"tanh"`, the limit of the published network.

    Call arguments:
        features: tensor `(batch, feature_dim)`, or `(batch, map_height,
            map_width, feature_dim)`; vectors of unit norm.
        statistics: list of the stages' `(mean, variance)`, as in an
            `EncoderOutput` of training; by default the moving averages.

    Output shape: `(batch, height, width, channels)`, float32 in [-1, 1]. Every
        place of a map has `encoder.stride` pixels in each direction.

    Raises:
        ValueError: for an argument that is not as above, or features of another
            shape.

    Reference:
        Dai et al., Closed-loop transcription via convolutional sparse coding,
        CPAL 2024: images by multi-stage sparse deconvolution, features by the
        corresponding inverse map.
    """

    def __init__(self, encoder, rectified=False, output="clip", **kwargs):
        # Keras would cast the statistics to half precision. The layers cast
        # what they convolve.
        super().__init__(autocast=False, **kwargs)
        if not isinstance(encoder, Encoder):
            raise ValueError(
                f"`encoder` must be an `Encoder`. Received: {shown(encoder)}"
            )
        check_bool(rectified=rectified)
        check_choice(("clip", "tanh"), output=output)
        # A function, as Keras would take the encoder for a part of this model.
        self._encoder = lambda: encoder
        self.image_shape = encoder.image_shape
        self.stride = encoder.stride
        self.layout = encoder.layout
        self.map_shape = encoder.layout.map_shape
        self.features_shape = encoder.layout.features
        self.rectified = rectified
        self.output_limit = output
        self.head_layer = self._decoding_layer(encoder.head, "head")
        self.decoding_layers = [
            self._decoding_layer(layer, layer.name)
            for layer in reversed(encoder.coding_layers)
        ]

    def _decoding_layer(self, layer, name):
        return ConvSparseDecoding2D(
            coding_layer=layer, dtype=self.dtype_policy, name=name
        )

    @property
    def encoder(self):
        """The encoder whose features it draws."""
        return self._encoder()

    @property
    def shared_atoms(self):
        """The kernels of the encoder that are trained."""
        layers = (*self.encoder.coding_layers, self.encoder.head)
        return [layer.kernel for layer in layers if layer.kernel.trainable]

    def build(self, input_shape):
        if not self.encoder.built:
            self.encoder.build((None, *self.image_shape))

        def gain(name, shape=()):
            return self.add_weight(shape, "ones", name=name, autocast=False)

        self.feature_gain = gain("feature_gain")
        self.stage_gains = [
            gain(
                f"gain_{n + 1}",
                self.encoder.normalizations[n].moving_mean.shape,
            )
            for n in self._stages()
        ]
        self.image_gain = gain("image_gain")
        self.head_layer.build((None, *self.map_shape))
        for layer, stage in zip(
            self.decoding_layers, reversed(self.encoder.coding_layers)
        ):
            layer.build((None, None, None, stage.filters))
        self.built = True

    def call(self, features, training=None, statistics=None):
        codes = self.codes(features, statistics, training)
        signal = self.draw(0, codes[0], training)
        signal = at_least_float32(self.image_gain * at_least_float32(signal))
        signal = self.encoder.from_blocks(signal)
        if self.output_limit == "tanh":
            return ops.tanh(signal)
        return ops.clip(signal, -1.0, 1.0)

    def codes(self, features, statistics=None, training=None):
        """`ẑ^l`, the codes that every stage draws with.

        Args:
            features, statistics, training: as in a call.

        Returns:
            List of tensors like `EncoderOutput.codes`, from the image up;
            float32.
        """
        if not self.built:
            self.build(None)
        codes = []
        for number, gain in zip(self._stages(), self.stage_gains):
            if codes:
                signal = self.draw(number + 1, codes[0], training)
            else:
                signal = self._draw_head(features)
            codes.insert(0, self._codes(number, signal, gain, statistics))
        return codes

    def _stages(self):
        """Numbers of the encoder's stages, from the features down."""
        return reversed(range(len(self.decoding_layers)))

    def as_map(self, features):
        """Features that are known to fit, as a map of one place or more."""
        features = as_features(features, self.features_shape)
        return self.layout.to_map(features)

    def _draw_head(self, features):
        signal = at_least_float32(self.as_map(features))
        return self.head_layer(self.feature_gain * signal)

    def _codes(self, number, signal, gain, statistics):
        """`ẑ` of a stage, of what the stage above draws."""
        normalization = self.encoder.normalizations[number]
        given = None if statistics is None else statistics[number]
        codes = normalization.undo(signal, given, gain)
        if self.rectified:
            codes = ops.relu(codes)
        if self.encoder.parts_per_code[number] == 2:
            positive, negative = ops.split(codes, 2, axis=-1)
            codes = positive - negative
        return codes

    def draw(self, number, codes, training=None):
        """`D z` of a stage's codes, with 0 for the lowest stage."""
        layer = self.decoding_layers[-1 - number]
        return layer(codes, training=bool(training))

    def calibrate(self, images):
        """Measures the gains of images, from the head down.

        `g₀` is the mean of `‖h‖`, with the head's `h = A_headᵀ x^L`. Let `x` be
        a channel of the encoder's `x^l`, and `d` what is drawn there, both less
        their means. The channel's gain is `Σ x d / Σ d²`, which draws it as
        near as can be. With `rectified` it is `√(Σ x² / Σ d²)`, which draws it
        with its own contrast. `g_out` is such a gain, of all pixels together:
        `x` are the images, and `d` what the first stage draws. A channel that
        is drawn with less than 1e-3 of its stage's deviation keeps 1.
        Statistics are of these images.

        Args:
            images: tensor `(batch, height, width, channels)` in [-1, 1]; some
                hundreds.
        """
        if not self.built:
            self.build(None)
        encoder = self.encoder
        output = encoder.activations(images, training=True)
        statistics = output.statistics
        images, *handed_up = output.inputs
        heads = at_least_float32(encoder.head(handed_up[-1]))
        norms = ops.sqrt(ops.sum(ops.square(heads), -1))
        self.feature_gain.assign(ops.mean(norms))
        signal = self._draw_head(output.features)
        for number, gain in zip(self._stages(), self.stage_gains):
            gain.assign(self._gain(handed_up[number], signal))
            signal = self.draw(
                number, self._codes(number, signal, gain, statistics)
            )
        whole = (-1, 1, 1, 1)
        images, signal = (ops.reshape(x, whole) for x in (images, signal))
        self.image_gain.assign(self._gain(images, signal)[0])

    def _gain(self, wanted, drawn):
        """Of every channel, `(channels,)`; see `calibrate`."""
        axes, drawn = (0, 1, 2), at_least_float32(drawn)
        wanted = ops.cast(wanted, drawn.dtype)
        wanted, drawn = (x - ops.mean(x, axes) for x in (wanted, drawn))
        power = ops.mean(ops.square(drawn), axes)
        visible = power > LEAST_DEVIATION**2 * ops.mean(power)
        if self.rectified:
            shared = ops.sqrt(ops.mean(ops.square(wanted), axes) * power)
        else:
            shared = ops.mean(wanted * drawn, axes)
        return ops.where(visible, shared / ops.where(visible, power, 1.0), 1.0)

    @property
    def calibrated(self):
        """Whether a gain is another than 1."""
        return any(
            bool(ops.any(ops.convert_to_tensor(gain) != 1))
            for gain in (self.feature_gain, *self.stage_gains, self.image_gain)
        )

    def compute_output_spec(self, features, training=None, statistics=None):
        check_shape("features", features.shape, self.features_shape)
        return self.output_spec(features)

    def compute_output_shape(self, input_shape):
        return self.layout.images_of(input_shape)

    def save(self, *args, **kwargs):
        """Refused: a file of the decoder alone would lack the atoms."""
        raise NotImplementedError(
            "A `Decoder` draws with its encoder's atoms, which a file of it "
            "alone would lack. Save the `ClosedLoopAutoencoder` of both."
        )

    def get_config(self):
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "rectified": self.rectified,
            "output": self.output_limit,
        }

    @classmethod
    def from_config(cls, config):
        encoder = config["encoder"]
        if isinstance(encoder, dict):
            encoder = keras.saving.deserialize_keras_object(encoder)
        return super().from_config({**config, "encoder": encoder})
