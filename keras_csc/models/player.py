"""What encoder and decoder have in common, and what the encoder hands on."""

import inspect
import typing

import keras

from keras_csc.ops.tensors import at_least_float32_of
from keras_csc.validation import not_quantized


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
    parameters = inspect.signature(network_class.__init__).parameters
    return {
        name: parameter.default
        for name, parameter in parameters.items()
        if parameter.default is not parameter.empty
    }


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
