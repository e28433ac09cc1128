"""The convolutional networks of the parents: the baseline."""

import keras
from keras import ops

from keras_csc.layers import SharedBatchNormalization
from keras_csc.models.staged import StagedDecoder
from keras_csc.models.staged import StagedEncoder
from keras_csc.ops.tensors import at_least_float32


@keras.saving.register_keras_serializable(package="keras_csc")
class ConvEncoder(StagedEncoder):
    """The generic convolutional encoder of the same widths: the baseline.

    Every stage is a convolution, a batch normalisation and a leaky ReLU of
    slope 0.2; the first stage has no normalisation. The head is a convolution.
    The initial values are the parents': kernels from `N(0, 0.02)`, `γ` from
    `N(1, 0.02)`.

    Args:
        image_shape, filters, feature_dim, kernel_size, strides, features: as
            in `Encoder`.

    Call arguments:
        images: tensor `(batch, height, width, channels)` in [-1, 1].
        training: bool.

    Output shape: as in `Encoder`.

    Raises:
        ValueError: for an argument that is not as above, or images of another
            shape.

    Reference:
        Dai et al., CTRL, Entropy 2022, appendix A: DCGAN's discriminator.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        stages = zip(self.filters, self.kernel_sizes, self.stage_strides)
        self.coding_layers = [
            keras.layers.Conv2D(
                width,
                size,
                strides=stride,
                padding="same",
                name=f"stage_{number}",
                **_kernel(self),
            )
            for number, (width, size, stride) in enumerate(stages, 1)
        ]
        first = Unnormalized(dtype=self.dtype_policy, name="normalization_1")
        numbers = range(2, len(self.filters) + 1)
        self.normalizations = [
            first,
            *(_normalization(self, n) for n in numbers),
        ]
        self.head = self._head(self.feature_dim)

    def _head(self, outputs):
        return keras.layers.Conv2D(
            outputs, self.layout.head_size, name="head", **_kernel(self)
        )

    def code(self, number, signal, sparsity=None, training=False):
        if sparsity is not None:
            raise ValueError(
                "A ConvEncoder has no sparse codes: `sparsity` must be None."
            )
        return self.coding_layers[number](signal)

    def activate(self, signal):
        return ops.leaky_relu(signal, 0.2)


@keras.saving.register_keras_serializable(package="keras_csc")
class Unnormalized(SharedBatchNormalization):
    """Leaves its input as it is, and knows its statistics."""

    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "center": False, "scale": False})

    def _scaled(self, inputs, mean, variance):
        return inputs


@keras.saving.register_keras_serializable(package="keras_csc")
class ConvDecoder(StagedDecoder):
    """The generic deconvolutional decoder of the same widths: the baseline.

    Transposed convolutions with free weights, batch normalisation and ReLU, as
    in DCGAN. The initial values are the parents', as in `ConvEncoder`. `tanh`
    limits the image to [-1, 1].

    Args:
        encoder: `ConvEncoder`; the decoder has its widths, kernel sizes and
            strides.

    Call arguments:
        features: tensor `(batch, feature_dim)`, or `(batch, map_height,
            map_width, feature_dim)`; vectors of unit norm.
        training: bool.
        statistics: without effect.

    Output shape: as in `Decoder`.

    Raises:
        ValueError: for another encoder, or features of another shape.

    Reference:
        Dai et al., CTRL, Entropy 2022, appendix A.
    """

    encoder_class = ConvEncoder
    # It draws with no kernel of the encoder, and has no gains to measure.
    shared_atoms = ()
    calibrated = True

    def __init__(self, encoder, **kwargs):
        super().__init__(encoder, **kwargs)
        numbers = range(len(encoder.filters), 0, -1)
        widths = (self.image_shape[-1], *encoder.filters)
        head = keras.layers.Conv2DTranspose(
            widths[-1], self.layout.head_size, name="head", **_kernel(self)
        )
        stages = [
            keras.layers.Conv2DTranspose(
                widths[n - 1],
                encoder.kernel_sizes[n - 1],
                strides=encoder.stage_strides[n - 1],
                padding="same",
                name=f"stage_{n}",
                **_kernel(self),
            )
            for n in numbers
        ]
        self.decoding_layers = [head, *stages]
        self.normalizations = [_normalization(self, n) for n in numbers]

    def build(self, input_shape):
        shape = (None, *self.map_shape)
        for number, layer in enumerate(self.decoding_layers):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
            if number < len(self.normalizations):
                self.normalizations[number].build(shape)
        self.built = True

    def call(self, features, training=None, statistics=None):
        signal = self.as_map(features)
        for layer, normalization in zip(
            self.decoding_layers, self.normalizations
        ):
            signal = ops.relu(normalization(layer(signal), training=training))
        signal = self.decoding_layers[-1](signal)
        return ops.tanh(at_least_float32(signal))


def _kernel(network):
    """Arguments of every convolution of a network."""
    return {
        "data_format": "channels_last",
        "use_bias": False,
        "kernel_initializer": keras.initializers.RandomNormal(stddev=0.02),
        "dtype": network.dtype_policy,
    }


def _normalization(network, number):
    return SharedBatchNormalization(
        gamma_initializer=keras.initializers.RandomNormal(1.0, 0.02),
        dtype=network.dtype_policy,
        name=f"normalization_{number}",
    )
