import keras
from keras import ops

from keras_csc.layers import ConvSparseDecoding2D
from keras_csc.layers import SharedBatchNormalization
from keras_csc.models.architecture import check_architecture
from keras_csc.models.architecture import head_size
from keras_csc.models.conv_encoder import dcgan_gamma
from keras_csc.models.freezing import freeze
from keras_csc.models.freezing import frozen_layers
from keras_csc.models.freezing import without_frozen_layers
from keras_csc.models.inputs import as_features
from keras_csc.models.inputs import check_shape
from keras_csc.ops.precision import at_least_float32
from keras_csc.ops.precision import at_least_float32_of
from keras_csc.validation import check_bool


@keras.saving.register_keras_serializable(package="keras_csc")
class SeparateDecoder(keras.Model):
    """Stack of sparse decoding layers with dictionaries of their own.

    For models of two networks: `Decoder` draws with the encoder's atoms. The
    features are the code of the first layer; what every layer synthesises is
    normalised over the batch and made non-negative, and is the sparse code of
    the next; the last layer's image is limited to [-1, 1] by `tanh`.

    Args:
        image_shape: `(height, width, channels)`.
        filters: ints, the number of atoms of the encoder's stages, from the
            image upwards.
        feature_dim: int, `d`.
        kernel_size: int, height and width of the atoms.
        split: bool, whether the codes are those of an encoder with `split`:
            what a layer synthesises are positive and negative parts, whose
            difference is the code of the next layer.
        features: `"vector"` or `"map"`, as of the encoder.

    Call arguments:
        features: tensor `(batch, feature_dim)`, or `(batch, map_height,
            map_width, feature_dim)`; vectors of unit norm.
        training: bool.
        moments: without effect.

    Output shape: `(batch, height, width, channels)`, float32 in [-1, 1]; of a
        map `2 ** len(filters)` pixels in each direction for every place.

    Raises:
        ValueError: for an argument that is not as above, or features of another
            shape.

    Reference:
        Dai et al., Closed-loop transcription via convolutional sparse coding,
        CPAL 2024.
    """

    def __init__(
        self,
        image_shape=(32, 32, 3),
        filters=(64, 128, 256),
        feature_dim=128,
        kernel_size=4,
        split=False,
        features="vector",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_architecture(
            image_shape, filters, feature_dim, kernel_size, features
        )
        check_bool(split=split)
        self.image_shape = tuple(image_shape)
        self.filters = tuple(filters)
        self.feature_dim = feature_dim
        self.kernel_size = kernel_size
        self.split = split
        self.features = features
        self.head_size = head_size(self.image_shape, self.filters, features)
        parts = 2 if split else 1
        widths = (self.image_shape[-1], *(parts * n for n in self.filters))
        self.decoding_layers = [
            self._decoding_layer(
                widths[-1], self.head_size, "head", padding="valid"
            )
        ] + [
            self._decoding_layer(
                widths[number - 1], kernel_size, f"stage_{number}", strides=2
            )
            for number in range(len(self.filters), 0, -1)
        ]
        self.normalizations = [
            self._normalization(f"normalization_{number}")
            for number in range(len(self.filters), 0, -1)
        ]

    @property
    def map_shape(self):
        """Shape of the features of an image, as a map of one place or more."""
        size = [n // 2 ** len(self.filters) for n in self.image_shape[:2]]
        size = (1, 1) if self.features == "vector" else size
        return (*size, self.feature_dim)

    @property
    def features_shape(self):
        """Shape of the features that it takes; `None` for any size."""
        size = () if self.features == "vector" else (None, None)
        return (*size, self.feature_dim)

    def _decoding_layer(self, channels, kernel_size, name, **arguments):
        return ConvSparseDecoding2D(
            channels,
            kernel_size,
            dtype=self.dtype_policy,
            name=name,
            **arguments,
        )

    def _normalization(self, name):
        gamma = 1.0
        if name == "normalization_1":
            # With atoms of norm 1 and half of normal codes, pixels deviate by
            # sqrt(filters / (2 · 2² · channels)): by 1/2 with this factor,
            # where `tanh` is not saturated.
            gamma = (2 * self.image_shape[-1] / self.filters[0]) ** 0.5
        return SharedBatchNormalization(
            gamma_initializer=keras.initializers.Constant(gamma),
            dtype=self.dtype_policy,
            name=name,
        )

    calibrated = True  # it has no gains to measure

    @property
    def shared_atoms(self):
        """None: what it draws with is its own."""
        return []

    def codes(self, features):
        """`None`: its codes are not those of the encoder's atoms."""
        return None

    def build(self, input_shape):
        shape = (None, *self.map_shape)
        for number, layer in enumerate(self.decoding_layers):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
            if number < len(self.normalizations):
                self.normalizations[number].build(shape)
                if self.split:
                    shape = (*shape[:-1], shape[-1] // 2)
        self.built = True

    def call(self, features, training=None, moments=None):
        signal = as_features(features, self.features_shape)
        if self.features == "vector":
            signal = ops.reshape(signal, (-1, *self.map_shape))
        for number, normalization in enumerate(self.normalizations):
            signal = self.synthesize(number, signal)
            signal = normalization(signal, training=training)
            signal = self.activate(signal)
        signal = self.synthesize(len(self.normalizations), signal)
        return ops.tanh(at_least_float32(signal))

    def activate(self, signal):
        """Sparse codes of the next layer, of what is normalised."""
        signal = ops.relu(signal)
        if not self.split:
            return signal
        positive, negative = ops.split(signal, 2, axis=-1)
        return positive - negative

    def synthesize(self, number, signal):
        """What a layer, from the features on, makes of its input."""
        return self.decoding_layers[number](signal)

    def compute_output_spec(self, features, training=None, moments=None):
        check_shape("features", features.shape, self.features_shape)
        shape = self.compute_output_shape(features.shape)
        return keras.KerasTensor(shape, at_least_float32_of(self.compute_dtype))

    def compute_output_shape(self, input_shape):
        if self.features == "vector":
            return (input_shape[0], *self.image_shape)
        stride = 2 ** len(self.filters)
        sizes = [n and n * stride for n in input_shape[1:3]]
        return (input_shape[0], *sizes, self.image_shape[-1])

    def get_config(self):
        return {
            **super().get_config(),
            "image_shape": self.image_shape,
            "filters": self.filters,
            "feature_dim": self.feature_dim,
            "kernel_size": self.kernel_size,
            "split": self.split,
            "features": self.features,
            **frozen_layers(self),
        }

    @classmethod
    def from_config(cls, config):
        config, names = without_frozen_layers(config)
        return freeze(super().from_config(config), names)


@keras.saving.register_keras_serializable(package="keras_csc")
class ConvDecoder(SeparateDecoder):
    """The generic deconvolutional decoder of the same widths: the baseline.

    Transposed convolutions with free weights, batch normalisation and ReLU, as
    in DCGAN, with the parents' initial values: those of `ConvEncoder`. Takes
    the arguments of `SeparateDecoder`; `split` has no effect.

    Raises:
        ValueError: as of `SeparateDecoder`.

    Reference:
        Dai et al., CTRL, Entropy 2022, appendix A.
    """

    def __init__(self, *args, split=False, **kwargs):
        super().__init__(*args, **kwargs)

    def _normalization(self, name):
        return SharedBatchNormalization(
            gamma_initializer=dcgan_gamma(),
            dtype=self.dtype_policy,
            name=name,
        )

    def _decoding_layer(self, channels, kernel_size, name, **arguments):
        return keras.layers.Conv2DTranspose(
            channels,
            kernel_size,
            strides=arguments.get("strides", 1),
            padding=arguments.get("padding", "same"),
            data_format="channels_last",
            use_bias=False,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
            dtype=self.dtype_policy,
            name=name,
        )
