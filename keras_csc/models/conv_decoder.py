import math

import keras
from keras import ops

from keras_csc.layers import SharedBatchNormalization
from keras_csc.models.architecture import check_architecture
from keras_csc.models.architecture import head_size
from keras_csc.models.conv_encoder import dcgan_gamma
from keras_csc.models.freezing import freeze
from keras_csc.models.freezing import frozen_layers
from keras_csc.models.freezing import without_frozen_layers
from keras_csc.models.inputs import as_features
from keras_csc.models.staged_decoder import StagedDecoder
from keras_csc.ops.tensors import at_least_float32


@keras.saving.register_keras_serializable(package="keras_csc")
class ConvDecoder(StagedDecoder):
    """The generic deconvolutional decoder of the same widths: the baseline.

    Transposed convolutions with free weights, batch normalisation and ReLU, as
    in DCGAN, with the parents' initial values: those of `ConvEncoder`. The
    image is limited to [-1, 1] by `tanh`.

    Args:
        image_shape: `(height, width, channels)`.
        filters: ints, the number of channels of the encoder's stages, from
            the image upwards.
        feature_dim: int, `d`.
        kernel_size, strides, features: as of the encoder.

    Call arguments:
        features: tensor `(batch, feature_dim)`, or `(batch, map_height,
            map_width, feature_dim)`; vectors of unit norm.
        training: bool.
        moments: without effect.

    Output shape: as of `Decoder`.

    Raises:
        ValueError: for an argument that is not as above, or features of another
            shape.

    Reference:
        Dai et al., CTRL, Entropy 2022, appendix A.
    """

    # It draws with no kernel of the encoder, and has no gains to measure.
    shared_atoms = ()
    calibrated = True

    def __init__(
        self,
        image_shape=(32, 32, 3),
        filters=(64, 128, 256),
        feature_dim=128,
        kernel_size=4,
        strides=2,
        features="vector",
        **kwargs,
    ):
        super().__init__(**kwargs)
        sizes, stage_strides = check_architecture(
            image_shape, filters, feature_dim, kernel_size, strides, features
        )
        self.image_shape = tuple(image_shape)
        self.filters = tuple(filters)
        self.feature_dim = feature_dim
        self.kernel_size = kernel_size
        self.strides = strides
        self.features = features
        self.stride = math.prod(stage_strides)
        stages = range(len(self.filters), 0, -1)
        widths = (self.image_shape[-1], *self.filters)
        head = head_size(self.image_shape, self.stride, features)
        self.decoding_layers = [self._convolution(widths[-1], head, "head")]
        self.decoding_layers += [
            self._convolution(
                widths[n - 1],
                sizes[n - 1],
                f"stage_{n}",
                stage_strides[n - 1],
                "same",
            )
            for n in stages
        ]
        self.normalizations = [
            SharedBatchNormalization(
                gamma_initializer=dcgan_gamma(),
                dtype=self.dtype_policy,
                name=f"normalization_{n}",
            )
            for n in stages
        ]

    def _convolution(self, channels, size, name, strides=1, padding="valid"):
        return keras.layers.Conv2DTranspose(
            channels,
            size,
            strides=strides,
            padding=padding,
            data_format="channels_last",
            use_bias=False,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
            dtype=self.dtype_policy,
            name=name,
        )

    def build(self, input_shape):
        shape = (None, *self.map_shape)
        for number, layer in enumerate(self.decoding_layers):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
            if number < len(self.normalizations):
                self.normalizations[number].build(shape)
        self.built = True

    def call(self, features, training=None, moments=None):
        signal = as_features(features, self.features_shape)
        if self.features == "vector":
            signal = ops.reshape(signal, (-1, *self.map_shape))
        for layer, normalization in zip(
            self.decoding_layers, self.normalizations
        ):
            signal = ops.relu(normalization(layer(signal), training=training))
        signal = self.decoding_layers[-1](signal)
        return ops.tanh(at_least_float32(signal))

    def get_config(self):
        return {
            **super().get_config(),
            "image_shape": self.image_shape,
            "filters": self.filters,
            "feature_dim": self.feature_dim,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "features": self.features,
            **frozen_layers(self),
        }

    @classmethod
    def from_config(cls, config):
        config, names = without_frozen_layers(config)
        return freeze(super().from_config(config), names)
