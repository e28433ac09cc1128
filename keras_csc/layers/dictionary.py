"""The weight that coding and decoding layers share: a dictionary of atoms."""

import keras


def add_dictionary(layer, channels, filters):
    """Adds the kernel `(k, k, channels, filters)`, one atom per filter.

    Uses the layer's `kernel_size`, `kernel_initializer` and `unit_norm`; a
    unit-norm dictionary has it from the start.
    """
    constraint = None
    if layer.unit_norm:
        constraint = keras.constraints.UnitNorm(axis=[0, 1, 2])
    size = layer.kernel_size
    kernel = layer.add_weight(
        (size, size, channels, filters),
        layer.kernel_initializer,
        name="kernel",
        constraint=constraint,
    )
    if constraint is not None:
        kernel.assign(constraint(kernel))
    return kernel
