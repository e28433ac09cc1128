import keras
from keras import ops

from keras_csc import constraints
from keras_csc.validation import check_choice
from keras_csc.validation import check_finite
from keras_csc.validation import check_integer


class DictionaryLayer(keras.layers.Layer):
    """A layer with a dictionary of atoms: its `kernel` `(k, k, channels, n)`.

    Arguments and errors are as in `ConvSparseDecoding2D`.
    """

    def __init__(
        self,
        kernel_size,
        strides,
        padding,
        kernel_initializer,
        kernel_constraint,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_integer(1, kernel_size=kernel_size, strides=strides)
        check_choice(("same", "valid"), padding=padding)
        self.kernel_size = kernel_size
        self.strides = strides
        self.padding = padding
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.input_spec = keras.InputSpec(ndim=4)

    def add_dictionary(self, channels, filters):
        """Adds and returns the kernel, with one atom per filter.

        The initial value satisfies the constraint, and an initialiser sees to
        it: what `build` assigns is lost if a `tf.function` or a symbolic call
        builds the layer.
        """

        def initial(shape, dtype=None):
            atoms = self.kernel_initializer(shape, dtype=dtype)
            return constraints.satisfied(self.kernel_constraint, atoms)

        return self.add_weight(
            (self.kernel_size, self.kernel_size, channels, filters),
            initial,
            name="kernel",
            autocast=False,  # a bound of rounded atoms would be another
            constraint=self.kernel_constraint,
        )

    def set_dictionary(self, atoms):
        """Replaces the dictionary.

        Args:
            atoms: array `(kernel_size, kernel_size, channels, filters)`. The
                dictionary is one near them that satisfies the constraint.

        Raises:
            ValueError: for atoms of another shape, or with NaN or infinity,
                and before the layer is built.
        """
        check_built(self)
        atoms = ops.convert_to_tensor(atoms, self.kernel.dtype)
        check_finite("atoms", ops.convert_to_numpy(atoms))
        self.kernel.assign(constraints.satisfied(self.kernel_constraint, atoms))

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "kernel_initializer": keras.initializers.serialize(
                self.kernel_initializer
            ),
            "kernel_constraint": keras.constraints.serialize(
                self.kernel_constraint
            ),
        }


def check_built(layer):
    """Raises a `ValueError` for a layer that has no atoms yet."""
    if not layer.built:
        raise ValueError(
            f"The layer {layer.name} has no atoms yet: build it first, by a "
            "call on its input or by `build(input_shape)`."
        )
