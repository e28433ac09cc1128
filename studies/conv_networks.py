"""The convolutional networks of the parents: the baseline.

`ClosedLoopAutoencoder(encoder, decoder)` trains them, too. They have no coding
layers: the game's `residual` must be 0, and nothing is said of their codes.
"""

import keras
import numpy as np
import threadpoolctl
from keras import ops
from sklearn.decomposition import TruncatedSVD

from keras_csc.layers import SharedBatchNormalization
from keras_csc.models import Decoder
from keras_csc.models import Encoder
from keras_csc.models import EncoderOutput
from keras_csc.models.first_atoms import batched
from keras_csc.models.first_atoms import principal_components
from keras_csc.ops.tensors import at_least_float32


class ConvEncoder(Encoder):
    """The generic convolutional encoder of the same widths.

    Every stage is a convolution, a batch normalisation and a leaky ReLU of
    slope 0.2; the first stage has no normalisation. The head is a convolution.
    The initial values are the parents': kernels from `N(0, 0.02)`, `γ` from
    `N(1, 0.02)`.

    Args:
        image_shape, filters, feature_dim, kernel_size, strides, features: as
            in `Encoder`. Its other arguments are without effect.

    Reference:
        Dai et al., CTRL, Entropy 2022, appendix A: DCGAN's discriminator.
    """

    def _make_layers(self):
        self.coding_layers = []
        stages = zip(self.filters, self.kernel_sizes, self.stage_strides)
        self.convolutions = [
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

    def build(self, input_shape):
        shape = (None, *self.image_shape)
        for layer, normalization in zip(self.convolutions, self.normalizations):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
            normalization.build(shape)
        self.head.build(shape)
        self.built = True

    def run_stages(self, signal, training=None, statistics=None, sparsity=None):
        codes, used = [], []
        signal = self.layout.to_places(signal)
        for number, layer in enumerate(self.convolutions):
            codes.append(layer(signal))
            normalization = self.normalizations[number]
            moments = statistics[number] if statistics else None
            if training and moments is None:
                signal, moments = normalization.normalize(codes[-1])
            else:
                signal = normalization(codes[-1], statistics=moments)
            used.append(moments)
            signal = activation(signal)
        return EncoderOutput(self._features(signal), codes, used, [])


def activation(signal):
    """What the next stage is given."""
    return ops.leaky_relu(signal, 0.2)


class Unnormalized(SharedBatchNormalization):
    """Leaves its input as it is, and knows its statistics."""

    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "center": False, "scale": False})

    def _scaled(self, inputs, mean, variance):
        return inputs


class ConvDecoder(Decoder):
    """The generic deconvolutional decoder of the same widths.

    Transposed convolutions with free weights, batch normalisation and ReLU, as
    in DCGAN. The initial values are the parents', as in `ConvEncoder`. `tanh`
    limits the image to [-1, 1].

    Args:
        encoder: `ConvEncoder`; the decoder has its widths, kernel sizes and
            strides.

    Reference:
        Dai et al., CTRL, Entropy 2022, appendix A.
    """

    # It draws with no kernel of the encoder, and has no gains to measure.
    shared_atoms = ()
    calibrated = True

    def __init__(self, encoder, **kwargs):
        super().__init__(encoder, **kwargs)
        numbers = range(len(encoder.filters), 0, -1)
        widths = (self.image_shape[-1], *encoder.filters)
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
        self.convolutions = [self.head_layer, *stages]
        self.normalizations = [_normalization(self, n) for n in numbers]

    def _decoding_layer(self, layer, name):
        """The layer that draws what the encoder's head is given."""
        width, size = self.encoder.filters[-1], self.layout.head_size
        return keras.layers.Conv2DTranspose(
            width, size, name=name, **_kernel(self)
        )

    def build(self, input_shape):
        shape = (None, *self.map_shape)
        for number, layer in enumerate(self.convolutions):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
            if number < len(self.normalizations):
                self.normalizations[number].build(shape)
        self.built = True

    def call(self, features, training=None, statistics=None):
        signal = self.as_map(features)
        for layer, normalization in zip(self.convolutions, self.normalizations):
            signal = ops.relu(normalization(layer(signal), training=training))
        signal = self.convolutions[-1](signal)
        return ops.tanh(at_least_float32(signal))

    def codes(self, features, statistics=None, training=None):
        return []


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


# === First kernels ===


def initialize_from(autoencoder, images, offset=2.0, seed=0):
    """Makes principal components of images the kernels, as of sparse coding.

    It is `keras_csc.models.initialize_from` for convolutions. Above the first
    stage, which has no `β`, `β = offset · γ` lets most numbers pass the
    rectifier. The mean of the last activations is the direction of the constant
    atom. The decoder gets the same kernels. Its normalisations keep their `γ`
    and `β`, but the last `γ` gives the images their deviation. It draws the
    features, and its moving averages become the statistics of its signals.
    """
    encoder, decoder = autoencoder.encoder, autoencoder.decoder
    signal, random = images, np.random.default_rng(seed)
    for number, layer in enumerate(encoder.convolutions):
        size, _, channels, filters = layer.kernel.shape
        if filters <= size**2 * channels:
            stride = encoder.stage_strides[number]
            components = principal_components(
                signal, False, size, stride, random
            )
            layer.kernel.assign(components[..., :filters])
        signal = batched(layer, signal)
        normalization = encoder.normalizations[number]
        variance = _assign_statistics(normalization, signal)
        if normalization.scale:
            gamma = np.sqrt(
                (variance + normalization.epsilon) / variance.mean()
            )
            normalization.gamma.assign(gamma)
            normalization.beta.assign(offset * gamma)
        signal = batched(lambda x: activation(normalization(x)), signal)
    with threadpoolctl.threadpool_limits(1, "blas"):
        _initialize_head(encoder, signal, seed)
    layers = encoder.head, *reversed(encoder.convolutions)
    for drawing, layer in zip(decoder.convolutions, layers):
        drawing.kernel.assign(layer.kernel)
    signal = np.asarray(decoder.as_map(batched(autoencoder.encode, images)))
    for layer, normalization in zip(
        decoder.convolutions, decoder.normalizations
    ):
        signal = batched(layer, signal)
        _assign_statistics(normalization, signal)
        signal = batched(lambda x: ops.relu(normalization(x)), signal)
    drawn = batched(decoder.convolutions[-1], signal)
    gamma = decoder.normalizations[-1].gamma
    gamma.assign(gamma * (np.std(images) / np.std(drawn)))


def _assign_statistics(normalization, signal):
    """Returns the variance of every channel."""
    variance = signal.var((0, 1, 2))
    normalization.moving_mean.assign(signal.mean((0, 1, 2)))
    normalization.moving_variance.assign(variance)
    return variance


def _initialize_head(encoder, signal, seed):
    shape = (*signal.shape[1:], -1)
    constant = signal.mean(0).ravel()
    constant /= np.linalg.norm(constant)
    signal = signal.reshape(len(signal), -1)
    signal = signal - np.outer(signal @ constant, constant)
    svd = TruncatedSVD(encoder.feature_dim - 1, random_state=seed)
    svd.fit(signal)
    atoms = svd.components_[::-1].T.reshape(shape)
    constant = constant.reshape(shape)
    encoder.head.kernel.assign(np.concatenate([atoms, constant], -1))
