"""What encoders and decoders have in common: stages, and their shapes."""

import math
import typing

import keras
from keras import ops

from keras_csc.models.architecture import check_architecture
from keras_csc.models.architecture import head_size
from keras_csc.models.inputs import as_features
from keras_csc.models.inputs import as_images
from keras_csc.models.inputs import check_shape
from keras_csc.models.tiles import reflected
from keras_csc.ops import analysis
from keras_csc.ops import postfilter
from keras_csc.ops import prefilter
from keras_csc.ops.tensors import as_dtype_of
from keras_csc.ops.tensors import at_least_float32
from keras_csc.ops.tensors import at_least_float32_of
from keras_csc.ops.tensors import to_sphere
from keras_csc.validation import not_quantized
from keras_csc.validation import shown


class EncoderOutput(typing.NamedTuple):
    """Features, and what came before them.

    Fields:
        features: tensor `(batch, feature_dim)` or, of an encoder of maps,
            `(batch, map_height, map_width, feature_dim)`; float32 vectors of
            unit norm.
        codes: list of tensors, the sparse codes of every stage.
        moments: list of `(mean, variance)`, the batch statistics that
            normalised every stage; of `None` in inference.
        inputs: list of tensors, what every stage and the head were given.
    """

    features: typing.Any
    codes: list
    moments: list
    inputs: list | None = None


class Player(keras.Model):
    """A network whose configuration says which of its layers are frozen.

    Keras saves `trainable` of a model, but not of its layers. Without this, a
    loaded model would train frozen layers again. Keras would also leave out the
    state of its optimizers, as they would have other variables.
    """

    quantize = not_quantized

    def get_config(self):
        frozen = [layer.name for layer in self.layers if not layer.trainable]
        return {**super().get_config(), "frozen_layers": frozen}

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        frozen = config.pop("frozen_layers", ())
        player = super().from_config(config)
        for layer in player.layers:
            layer.trainable = layer.trainable and layer.name not in frozen
        return player


class StagedEncoder(Player):
    """Stages, each normalised, and a head on the unit sphere.

    A subclass makes `coding_layers` and `normalizations`, from the image up,
    and a `head`. Arguments and errors are as in `Encoder`.
    """

    # Whether the stages solve sparse coding programs.
    sparse = False
    # Whether `activate` is not the identity.
    rectifies = False
    lapped = False

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
        self.kernel_sizes, self.stage_strides = check_architecture(
            image_shape, filters, feature_dim, kernel_size, strides, features
        )
        self.image_shape = tuple(image_shape)
        self.filters = tuple(filters)
        self.feature_dim = feature_dim
        self.kernel_size = kernel_size
        self.strides = strides
        self.features = features
        self.stride = math.prod(self.stage_strides)
        self.head_size = head_size(self.image_shape, self.stride, features)

    @property
    def accepted_shape(self):
        """Shape of the images that it takes; `None` for any size."""
        if self.features == "vector":
            return self.image_shape
        return (None, None, self.image_shape[-1])

    def build(self, input_shape):
        shape = (None, *self.image_shape)
        for layer, parts, normalization in zip(
            self.coding_layers, self.parts_per_code, self.normalizations
        ):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
            shape = (*shape[:-1], parts * shape[-1])
            normalization.build(shape)
        self.head.build(shape)
        self.built = True

    def call(self, images, training=None):
        output = self.activations(images, training=training)
        if training:
            self.update_statistics(output)
        return output.features

    def activations(self, images, training=None, sparsity=None):
        """Encodes images and returns what every stage made of them.

        It changes no state: in training, call `update_statistics`, too.

        Args:
            images: tensor `(batch, height, width, channels)` in [-1, 1].
            training: bool, whether to normalise with statistics of the batch.
            sparsity: `λ` of the first stage for this call, a number or a
                tensor `(batch,)`.

        Returns:
            `EncoderOutput`.
        """
        images = as_images(images, self.accepted_shape)
        return self.run_stages(images, training, sparsity=sparsity)

    def run_stages(self, signal, training=None, moments=None, sparsity=None):
        """`activations` of float images that are known to fit.

        `moments`, from the `EncoderOutput` of another batch, normalise instead
        of the batch's own.
        """
        if not self.built:
            self.build(None)
        codes, used, inputs = [], [], []
        if self.features == "map":
            signal = reflected(signal, self.stride)
        signal = self.to_blocks(signal)
        for number, normalization in enumerate(self.normalizations):
            inputs.append(signal)
            own = None if number else sparsity
            signal = self.code(number, signal, own, bool(training))
            codes.append(signal)
            signal = self.parts(number, signal)
            if moments is None and training:
                signal, statistics = normalization.normalize(signal)
            else:
                statistics = moments[number] if moments else None
                signal = normalization(signal, moments=statistics)
            used.append(statistics)
            signal = self.activate(signal)
        inputs.append(signal)
        return EncoderOutput(self._features(signal), codes, used, inputs)

    def features_of(self, number, codes):
        """Features of a stage's codes, which the stages above code in turn.

        As in inference: from the codes of `activations` it makes the same
        features.

        Args:
            number: int, of the stage, from 0.
            codes: tensor, of the shape of `EncoderOutput.codes[number]`.
        """
        stages = len(self.coding_layers)
        for below in range(number, stages):
            signal = self.normalizations[below](self.parts(below, codes))
            signal = self.activate(signal)
            if below + 1 < stages:
                codes = self.code(below + 1, signal)
        return self._features(signal)

    def _features(self, signal):
        # As a matrix product, where the layer itself would convolve.
        signal = ops.cast(signal, self.compute_dtype)
        kernel = as_dtype_of(self.head.kernel, signal)
        features = at_least_float32(analysis(signal, kernel, padding="valid"))
        if self.features == "vector":
            features = ops.reshape(features, (-1, self.feature_dim))
        return to_sphere(features)

    @property
    def block(self):
        """Side in pixels of the blocks of a lapped first stage, or 0."""
        return self.stage_strides[0] if self.lapped else 0

    def to_blocks(self, images):
        """What the first stage is given; a lapped encoder prefilters images."""
        return prefilter(images, self.block) if self.block else images

    def from_blocks(self, signal):
        """Undoes `to_blocks`: pixels of a signal like the first stage's."""
        return postfilter(signal, self.block) if self.block else signal

    def code(self, number, signal, sparsity=None, training=False):
        """What a stage makes of its input, before it is normalised."""
        raise NotImplementedError

    @property
    def parts_per_code(self):
        """Ints: how many channels every stage hands on for a code."""
        return (1,) * len(self.filters)

    def parts(self, number, codes):
        """What is normalised of a stage's codes; here the codes themselves."""
        return codes

    def activate(self, signal):
        """What the next stage is given; here the normalised codes."""
        return signal

    def update_statistics(self, output):
        """Updates what moves with the images, not with gradients."""
        for normalization, (mean, variance) in zip(
            self.normalizations, output.moments
        ):
            normalization.update(mean, variance)

    def update_operator_norms(self):
        """Stores the bounds `L` of the atoms as they are, if there are any."""
        return None

    def compute_output_spec(self, images, training=None):
        check_shape("images", images.shape, self.accepted_shape)
        shape = self.compute_output_shape(images.shape)
        return keras.KerasTensor(shape, at_least_float32_of(self.compute_dtype))

    def compute_output_shape(self, input_shape):
        if self.features == "vector":
            return (input_shape[0], self.feature_dim)
        sizes = [n and -(-n // self.stride) for n in input_shape[1:3]]
        return (input_shape[0], *sizes, self.feature_dim)

    def get_config(self):
        return {
            **super().get_config(),
            "image_shape": self.image_shape,
            "filters": self.filters,
            "feature_dim": self.feature_dim,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "features": self.features,
        }


class StagedDecoder(Player):
    """A decoder for the features and the images of an encoder.

    Args:
        encoder: `encoder_class` of the subclass. Its weights are not the
            decoder's.

    Raises:
        ValueError: for another encoder.
    """

    def __init__(self, encoder, **kwargs):
        # Keras would cast the moments to half precision. The layers cast what
        # they convolve.
        super().__init__(autocast=False, **kwargs)
        if not isinstance(encoder, self.encoder_class):
            raise ValueError(
                f"`encoder` must be of {self.encoder_class.__name__}. "
                f"Received: {shown(encoder)}"
            )
        # A function, as Keras would take the encoder for a part of this model.
        self._encoder = lambda: encoder
        self.image_shape = encoder.image_shape
        self.stride = encoder.stride
        self.feature_dim = encoder.feature_dim
        self.features = encoder.features

    @property
    def encoder(self):
        """The encoder whose features it draws."""
        return self._encoder()

    @property
    def map_shape(self):
        """Shape of the features of an image, as a map of one place or more."""
        size = [n // self.stride for n in self.image_shape[:2]]
        size = (1, 1) if self.features == "vector" else size
        return (*size, self.feature_dim)

    @property
    def features_shape(self):
        """Shape of the features that it takes; `None` for any size."""
        size = () if self.features == "vector" else (None, None)
        return (*size, self.feature_dim)

    def compute_output_spec(self, features, training=None, moments=None):
        check_shape("features", features.shape, self.features_shape)
        shape = self.compute_output_shape(features.shape)
        return keras.KerasTensor(shape, at_least_float32_of(self.compute_dtype))

    def compute_output_shape(self, input_shape):
        if self.features == "vector":
            return (input_shape[0], *self.image_shape)
        sizes = [n and n * self.stride for n in input_shape[1:3]]
        return (input_shape[0], *sizes, self.image_shape[-1])

    def as_map(self, features):
        """Features that are known to fit, as a map of one place or more."""
        features = as_features(features, self.features_shape)
        if self.features == "vector":
            features = ops.reshape(features, (-1, *self.map_shape))
        return features

    def get_config(self):
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
        }

    @classmethod
    def from_config(cls, config):
        encoder = config["encoder"]
        if isinstance(encoder, dict):
            encoder = keras.saving.deserialize_keras_object(encoder)
        return super().from_config({**config, "encoder": encoder})
