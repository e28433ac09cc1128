"""Stages with their shapes, which all encoders and decoders have."""

import inspect
import math
import typing

import keras
from keras import ops

from keras_csc.models.architecture import check_architecture
from keras_csc.models.inputs import as_features
from keras_csc.models.inputs import as_images
from keras_csc.models.inputs import check_shape
from keras_csc.models.layouts import LAYOUTS
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
        statistics: list of `(mean, variance)`, the batch statistics that
            normalised every stage; of `None` in inference.
        inputs: list of tensors, what every stage and the head were given.
    """

    features: typing.Any
    codes: list
    statistics: list
    inputs: list | None = None


def defaults_of(network_class):
    """The arguments of a network that have defaults, and these."""
    defaults = {}
    for base in network_class.__mro__:
        if issubclass(base, Player):
            for p in inspect.signature(base.__init__).parameters.values():
                if p.default is not p.empty:
                    defaults.setdefault(p.name, p.default)
    return defaults


class Player(keras.Model):
    """A network whose configuration says which of its layers are frozen.

    Keras saves `trainable` of a model, but not of its layers. Without this, a
    loaded model would train frozen layers again. Keras would also leave out the
    state of its optimizers, as they would have other variables.
    """

    quantize = not_quantized

    def output_spec(self, inputs):
        """Shape and type of the output: at least float32."""
        shape = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(shape, at_least_float32_of(self.compute_dtype))

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
    and a `head`. It defines `code`, and may define `activate`. Arguments and
    errors are as in `Encoder`.

    Attributes:
        layout: `FeatureVector` or `FeatureMap`, the shapes of images and
            features.
        parts_per_code: ints, how many channels every stage hands on for a code.
        block: int, side in pixels of the blocks of a lapped first stage, or 0.
    """

    # Whether the stages solve sparse coding programs, in so many steps.
    sparse = False
    iterations = 1
    block = 0

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
        self.parts_per_code = (1,) * len(filters)
        self.layout = LAYOUTS[features](
            self.image_shape, self.stride, feature_dim
        )
        self.accepted_shape = self.layout.images

    def build(self, input_shape):
        shape = (None, *self.image_shape)
        for layer, count, normalization in zip(
            self.coding_layers, self.parts_per_code, self.normalizations
        ):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
            shape = (*shape[:-1], count * shape[-1])
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

    def run_stages(self, signal, training=None, statistics=None, sparsity=None):
        """`activations` of float images that are known to fit.

        `statistics`, from the `EncoderOutput` of another batch, normalise
        instead of the batch's own.
        """
        if not self.built:
            self.build(None)
        codes, used, inputs = [], [], []
        signal = self.to_blocks(self.layout.to_places(signal))
        for number, normalization in enumerate(self.normalizations):
            inputs.append(signal)
            given = sparsity if number == 0 else None
            codes.append(self.code(number, signal, given, bool(training)))
            signal = self.parts(number, codes[-1])
            given = statistics[number] if statistics else None
            if training and given is None:
                signal, given = normalization.normalize(signal)
            else:
                signal = normalization(signal, statistics=given)
            used.append(given)
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
        return to_sphere(self.layout.from_map(features))

    def to_blocks(self, images):
        """What the first stage is given; a lapped encoder prefilters images."""
        return prefilter(images, self.block) if self.block else images

    def from_blocks(self, signal):
        """Undoes `to_blocks`: pixels of a signal like the first stage's."""
        return postfilter(signal, self.block) if self.block else signal

    def code(self, number, signal, sparsity=None, training=False):
        """Codes of a stage for its input, before they are normalised."""
        raise NotImplementedError

    def parts(self, number, codes):
        """What a stage normalises: its codes, or `[max(z, 0), max(-z, 0)]`."""
        if self.parts_per_code[number] == 1:
            return codes
        return ops.concatenate([ops.relu(codes), ops.relu(-codes)], axis=-1)

    def activate(self, signal):
        """What the next stage is given; here the normalised codes."""
        return signal

    def update_statistics(self, output):
        """Updates what moves with the images, not with gradients."""
        for normalization, (mean, variance) in zip(
            self.normalizations, output.statistics
        ):
            normalization.update(mean, variance)

    def update_operator_norms(self):
        """Stores the bounds `L` of the atoms as they are, if there are any."""
        return None

    def compute_output_spec(self, images, training=None):
        check_shape("images", images.shape, self.accepted_shape)
        return self.output_spec(images)

    def compute_output_shape(self, input_shape):
        return self.layout.features_of(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in defaults_of(type(self))},
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
        # Keras would cast the statistics to half precision. The layers cast
        # what they convolve.
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
        self.layout = encoder.layout
        self.map_shape = encoder.layout.map_shape
        self.features_shape = encoder.layout.features

    @property
    def encoder(self):
        """The encoder whose features it draws."""
        return self._encoder()

    def compute_output_spec(self, features, training=None, statistics=None):
        check_shape("features", features.shape, self.features_shape)
        return self.output_spec(features)

    def compute_output_shape(self, input_shape):
        return self.layout.images_of(input_shape)

    def as_map(self, features):
        """Features that are known to fit, as a map of one place or more."""
        features = as_features(features, self.features_shape)
        return self.layout.to_map(features)

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
