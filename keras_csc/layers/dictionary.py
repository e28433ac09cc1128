"""The weight that coding and decoding layers share: a dictionary of atoms."""

from keras import ops

from keras_csc.constraints import satisfied


def add_dictionary(layer, channels, filters):
    """Adds the kernel `(k, k, channels, filters)`, one atom per filter.

    Uses the layer's `kernel_size`, `kernel_initializer` and
    `kernel_constraint`, which the initial value satisfies.
    """
    size = layer.kernel_size
    kernel = layer.add_weight(
        (size, size, channels, filters),
        layer.kernel_initializer,
        name="kernel",
        constraint=layer.kernel_constraint,
    )
    value = ops.convert_to_tensor(kernel)
    kernel.assign(satisfied(layer.kernel_constraint, value))
    return kernel
