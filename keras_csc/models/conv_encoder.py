"""The convolutional encoder of the parents: the baseline."""

import keras
from keras import ops

from keras_csc.layers import SharedBatchNormalization
from keras_csc.layers.shared_batch_normalization import batch_moments
from keras_csc.models.staged_encoder import StagedEncoder


@keras.saving.register_keras_serializable(package="keras_csc")
class ConvEncoder(StagedEncoder):
    """The generic convolutional encoder of the same widths: the baseline.

    Every stage is a convolution, a batch normalisation, but for the first, and
    a leaky ReLU of slope 0.2; the head is a convolution. The initial values are
    the parents': kernels from `N(0, 0.02)`, `γ` from `N(1, 0.02)`.

    Args:
        image_shape, filters, feature_dim, kernel_size, strides, features: as
            of `Encoder`.

    Call arguments:
        images: tensor `(batch, height, width, channels)` in [-1, 1].
        training: bool.

    Output shape: as of `Encoder`.

    Raises:
        ValueError: for an argument that is not as above, or images of another
            shape.

    Reference:
        Dai et al., CTRL, Entropy 2022, appendix A: DCGAN's discriminator.
    """

    rectifies = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        numbers = range(1, len(self.filters) + 1)
        stages = zip(
            self.filters,
            self.kernel_sizes,
            [f"stage_{number}" for number in numbers],
            self.stage_strides,
        )
        self._assemble(
            [self._convolution(*stage) for stage in stages],
            [self._normalization(number) for number in numbers],
            self._head(),
        )

    def _convolution(
        self, filters, kernel_size, name, strides=1, padding="same"
    ):
        return keras.layers.Conv2D(
            filters,
            kernel_size,
            strides=strides,
            padding=padding,
            data_format="channels_last",
            use_bias=False,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
            dtype=self.dtype_policy,
            name=name,
        )

    def _normalization(self, number):
        name = f"normalization_{number}"
        if number == 1:
            return Unnormalized(dtype=self.dtype_policy, name=name)
        return SharedBatchNormalization(
            gamma_initializer=dcgan_gamma(),
            dtype=self.dtype_policy,
            name=name,
        )

    def _head(self):
        return self._convolution(
            self.feature_dim, self.head_size, "head", padding="valid"
        )

    def code(self, number, signal, sparsity=None):
        if sparsity is not None:
            raise ValueError(
                "A ConvEncoder has no sparse codes: `sparsity` must be None."
            )
        return self.coding_layers[number](signal)

    def activate(self, signal):
        return ops.leaky_relu(signal, 0.2)


@keras.saving.register_keras_serializable(package="keras_csc")
class Unnormalized(SharedBatchNormalization):
    """Leaves its input as it is, and knows its moments."""

    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "center": False, "scale": False})

    def _affine(self, inputs, mean, variance):
        return inputs

    def _scaled(self, inputs, mean, variance):
        return inputs

    def normalize(self, inputs):
        if not self.trainable:
            return super().normalize(inputs)
        mean, variance = batch_moments(inputs, self._moving()[0])
        return inputs, (ops.stop_gradient(mean), ops.stop_gradient(variance))


def dcgan_gamma():
    """Initial scale of the parents' normalisations, `N(1, 0.02)`."""
    return keras.initializers.RandomNormal(mean=1.0, stddev=0.02)
