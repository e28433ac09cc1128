"""The dictionary of a layer, as a weight."""

from keras_csc import constraints


def add_dictionary(layer, channels, filters):
    """Adds the kernel `(k, k, channels, filters)`, one atom per filter.

    Uses the layer's `kernel_size`, `kernel_initializer` and
    `kernel_constraint`, which the initial value satisfies. That is the work of
    an initialiser: of a layer that is built within a `tf.function`, or by a
    symbolic call, what `build` assigns is lost.
    """

    def initial(shape, dtype=None):
        atoms = layer.kernel_initializer(shape, dtype=dtype)
        return constraints.satisfied(layer.kernel_constraint, atoms)

    size = layer.kernel_size
    return layer.add_weight(
        (size, size, channels, filters),
        initial,
        name="kernel",
        constraint=layer.kernel_constraint,
    )
