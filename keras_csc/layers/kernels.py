"""The dictionary of a layer, as a weight."""

from keras_csc import constraints


def add_dictionary(layer, channels, filters):
    """Adds the kernel `(k, k, channels, filters)`, one atom per filter.

    Uses the layer's `kernel_size`, `kernel_initializer` and
    `kernel_constraint`. The initial value satisfies the constraint, and an
    initialiser sees to it: what `build` assigns is lost if a `tf.function` or a
    symbolic call builds the layer.
    """

    def initial(shape, dtype=None):
        atoms = layer.kernel_initializer(shape, dtype=dtype)
        return constraints.satisfied(layer.kernel_constraint, atoms)

    size = layer.kernel_size
    return layer.add_weight(
        (size, size, channels, filters),
        initial,
        name="kernel",
        autocast=False,  # a bound of rounded atoms would be another
        constraint=layer.kernel_constraint,
    )
