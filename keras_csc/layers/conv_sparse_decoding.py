import keras
import numpy as np

from keras_csc.layers.conv_sparse_coding import ConvSparseCoding2D
from keras_csc.layers.dictionary_layer import DictionaryLayer
from keras_csc.layers.dictionary_layer import check_built
from keras_csc.ops import synthesis
from keras_csc.ops import synthesis_size
from keras_csc.ops.sizes import check_code_size
from keras_csc.ops.tensors import as_dtype_of
from keras_csc.ops.tensors import as_floats
from keras_csc.validation import check_integer
from keras_csc.validation import shown


@keras.saving.register_keras_serializable(package="keras_csc")
class ConvSparseDecoding2D(DictionaryLayer):
    """Convolutional sparse decoding: the generative model `x = A z`.

    A transposed convolution of the codes with a dictionary of atoms, without
    offset: the image is a sum of the atoms, each as strong as its code says.

    With a `coding_layer` it draws with the atoms of that layer, as the layer's
    `synthesize` does: `x = D y`. Then it has no weights of its own: the
    gradient of what it draws moves the coding layer's kernel.

    Args:
        channels: int, channels of the images.
        kernel_size: int, height and width of the atoms.
        strides: int.
        padding: `"same"` or `"valid"`.
        kernel_initializer: initialiser of the dictionary.
        kernel_constraint: constraint of the dictionary, as in
            `ConvSparseCoding2D`.
        coding_layer: `ConvSparseCoding2D`, or a `keras.layers.Conv2D` with a
            square kernel and the channels last, without dilation or groups, in
            the place of all of the above. A layer with it is restored only in
            one model with that layer, and neither in a nested one nor by
            `clone_model`.

    Call arguments:
        codes: tensor `(batch, code_height, code_width, filters)`.
        image_size: `(height, width)` of the images, by default
            `code_height · strides` for `"same"` and
            `(code_height - 1) · strides + kernel_size` for `"valid"`.
        training: bool, as in a call of the coding layer.

    Input shape: `(batch, code_height, code_width, filters)`.
    Output shape: `(batch, height, width, channels)`.

    Raises:
        ValueError: for an argument that is not as above, or an `image_size`
            that has other codes.

    Reference:
        Dai et al., Closed-loop transcription via convolutional sparse coding,
        CPAL 2024.

    Example:

    >>> coding = keras_csc.layers.ConvSparseCoding2D(16, 4, strides=2)
    >>> images = keras.Input((32, 32, 3))
    >>> drawing = keras_csc.layers.ConvSparseDecoding2D(coding_layer=coding)
    >>> keras.Model(images, drawing(coding(images))).output_shape
    (None, 32, 32, 3)
    """

    def __init__(
        self,
        channels=None,
        kernel_size=None,
        strides=1,
        padding="same",
        kernel_initializer="glorot_uniform",
        kernel_constraint=None,
        coding_layer=None,
        **kwargs,
    ):
        if isinstance(coding_layer, dict):
            coding_layer = _restored(coding_layer)
        if coding_layer is not None:
            _check_coding_layer(coding_layer)
            padding = coding_layer.padding
            # Tuples of a Conv2D.
            strides = np.ravel(coding_layer.strides)[0].item()
            kernel_size = np.ravel(coding_layer.kernel_size)[0].item()
        else:
            check_integer(1, channels=channels)
        super().__init__(
            kernel_size,
            strides,
            padding,
            kernel_initializer,
            kernel_constraint,
            **kwargs,
        )
        self.channels = channels
        # A function: Keras would save what an attribute or property holds.
        self._coding_layer = lambda: coding_layer

    def build(self, input_shape):
        filters = input_shape[-1]
        self.input_spec = keras.InputSpec(ndim=4, axes={-1: filters})
        if self._coding_layer() is None:
            self._kernel = self.add_dictionary(self.channels, filters)
        else:
            check_built(self._coding_layer())
            self.channels = self.kernel.shape[2]

    @property
    def kernel(self):
        """The dictionary `(k, k, channels, filters)`, own or shared."""
        if self._coding_layer() is None:
            return self._kernel
        return self._coding_layer().kernel

    def call(self, codes, image_size=None, training=None):
        kernel = self.kernel
        if isinstance(self._coding_layer(), ConvSparseCoding2D):
            kernel = self._coding_layer().dictionary(training)
        codes = as_floats(codes)
        kernel = as_dtype_of(kernel, codes)
        return synthesis(codes, kernel, image_size, self.strides, self.padding)

    def compute_output_shape(self, input_shape):
        sizes = [
            synthesis_size(n, self.kernel_size, self.strides, self.padding)
            for n in input_shape[1:3]
        ]
        channels = self.channels or self.kernel.shape[2]
        return (input_shape[0], *sizes, channels)

    def compute_output_spec(self, codes, image_size=None, training=None):
        shape = self.compute_output_shape(codes.shape)
        if image_size is not None:
            filters = codes.shape[-1]
            kernel_shape = 2 * (self.kernel_size,) + (self.channels, filters)
            geometry = (None, *image_size), self.strides, self.padding
            check_code_size(codes.shape, kernel_shape, *geometry)
            shape = (shape[0], *image_size, shape[-1])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        if self._coding_layer() is None:
            return {**super().get_config(), "channels": self.channels}
        coding = keras.saving.serialize_keras_object(self._coding_layer())
        return {**keras.layers.Layer.get_config(self), "coding_layer": coding}


def _check_coding_layer(layer):
    """Raises `ValueError` for a layer whose atoms can't be drawn with."""
    if isinstance(layer, ConvSparseCoding2D):
        return
    fits = isinstance(layer, keras.layers.Conv2D) and (
        len({*layer.kernel_size}) == len({*layer.strides}) == 1
        and layer.dilation_rate == (1, 1)
        and layer.groups == 1
        and layer.data_format == "channels_last"
    )
    if not fits:
        raise ValueError(
            "`coding_layer` must be a `ConvSparseCoding2D` or a `Conv2D` with "
            "a square kernel, equal strides and the channels last, without "
            f"dilation or groups. Received: {shown(layer)}"
        )


def _restored(config):
    """The coding layer that a model has restored before.

    Keras finds it by an identifier of the configuration. Where it finds none
    it makes a layer of what else stands there: here of nothing, which fails.
    """
    try:
        return keras.saving.deserialize_keras_object({**config, "config": {}})
    except TypeError:
        raise ValueError(
            "A copy of a `ConvSparseDecoding2D` with a `coding_layer` would "
            "draw with other atoms than that layer has. Keras restores it in "
            "one model with the layer, and neither in a nested one nor by "
            "`clone_model` or `from_config`: make the model anew with that "
            "layer, and call `load_weights`."
        ) from None
