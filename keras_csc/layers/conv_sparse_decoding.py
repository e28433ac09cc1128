import keras
from keras import ops

from keras_csc import constraints
from keras_csc.layers.dictionary import add_dictionary
from keras_csc.ops import synthesis
from keras_csc.ops import synthesis_size
from keras_csc.ops.convolution import check_code_size
from keras_csc.validation import check_bool
from keras_csc.validation import check_choice
from keras_csc.validation import check_integer


@keras.saving.register_keras_serializable(package="keras_csc")
class ConvSparseDecoding2D(keras.layers.Layer):
    """Convolutional sparse decoding: the generative model `x = A z`.

    A transposed convolution of the codes with a dictionary of atoms, without
    offset: the image is a sum of the atoms, each as strong as its code says.
    With the kernel of a `ConvSparseCoding2D` layer it is that layer's exact
    synthesis operator.

    Args:
        channels: int, channels of the images.
        kernel_size: int, height and width of the atoms.
        strides: int.
        padding: `"same"` or `"valid"`.
        tied: bool. A tied layer has no dictionary of its own: every call is
            given the `kernel`.
        kernel_initializer: initialiser of the dictionary.
        kernel_constraint: constraint of the dictionary; as of
            `ConvSparseCoding2D`.

    Call arguments:
        codes: tensor `(batch, code_height, code_width, filters)`.
        image_size: `(height, width)` of the images, by default
            `code_height · strides` for `"same"` and
            `(code_height - 1) · strides + kernel_size` for `"valid"`.
        kernel: `(k, k, channels, filters)`, for a tied layer. Give it in the
            `call` of a subclassed model: a functional one saves it as a
            constant.

    Input shape: `(batch, code_height, code_width, filters)`.
    Output shape: `(batch, height, width, channels)`.

    Raises:
        ValueError: for an argument that is not as above, or a call of a tied
            layer without a `kernel`, or with one of another shape, or of
            another layer with it, or an `image_size` that has other codes.

    Reference:
        Dai et al., Closed-loop transcription via convolutional sparse coding,
        CPAL 2024.

    Example:

    >>> layer = keras_csc.layers.ConvSparseDecoding2D(3, 4, strides=2)
    >>> layer(np.zeros((1, 16, 16, 16))).shape
    TensorShape([1, 32, 32, 3])
    """

    def __init__(
        self,
        channels,
        kernel_size,
        strides=1,
        padding="same",
        tied=False,
        kernel_initializer="random_normal",
        kernel_constraint="unit_atoms",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_integer(1, channels=channels, kernel_size=kernel_size)
        check_integer(1, strides=strides)
        check_bool(tied=tied)
        check_choice(("same", "valid"), padding=padding)
        self.channels = channels
        self.kernel_size = kernel_size
        self.strides = strides
        self.padding = padding
        self.tied = tied
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.input_spec = keras.InputSpec(ndim=4)

    def build(self, input_shape):
        filters = input_shape[-1]
        self.input_spec = keras.InputSpec(ndim=4, axes={-1: filters})
        self.kernel = None
        if not self.tied:
            self.kernel = add_dictionary(self, self.channels, filters)

    def call(self, codes, image_size=None, kernel=None):
        if self.tied == (kernel is None):
            raise ValueError(
                "`kernel` must be given to a tied layer, and only to a tied "
                f"layer. Received: tied={self.tied}, kernel={kernel}"
            )
        if kernel is None:
            kernel = ops.convert_to_tensor(self.kernel)
        else:
            self._check_kernel(kernel.shape, codes.shape[-1])
        kernel = ops.cast(kernel, codes.dtype)
        return synthesis(codes, kernel, image_size, self.strides, self.padding)

    def _check_kernel(self, shape, filters):
        filters = filters or shape[-1]
        expected = 2 * (self.kernel_size,) + (self.channels, filters)
        if tuple(shape) != expected:
            raise ValueError(
                f"`kernel` must have the shape {expected}. "
                f"Received: {tuple(shape)}"
            )

    def compute_output_shape(self, input_shape):
        sizes = [
            synthesis_size(n, self.kernel_size, self.strides, self.padding)
            for n in input_shape[1:3]
        ]
        return (input_shape[0], *sizes, self.channels)

    def compute_output_spec(self, codes, image_size=None, kernel=None):
        shape = self.compute_output_shape(codes.shape)
        if image_size is not None:
            filters = codes.shape[-1]
            kernel_shape = 2 * (self.kernel_size,) + (self.channels, filters)
            geometry = image_size, self.strides, self.padding
            check_code_size(codes.shape, kernel_shape, *geometry)
            shape = (shape[0], *image_size, shape[-1])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "channels": self.channels,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "tied": self.tied,
            "kernel_initializer": keras.initializers.serialize(
                self.kernel_initializer
            ),
            "kernel_constraint": keras.constraints.serialize(
                self.kernel_constraint
            ),
        }
