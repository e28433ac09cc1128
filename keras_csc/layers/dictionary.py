"""The weight that coding and decoding layers share: a dictionary of atoms."""

import keras
from keras import ops


def add_dictionary(layer, channels, filters, constraint=None):
    """Adds the kernel `(k, k, channels, filters)`, one atom per filter.

    Uses the layer's `kernel_size` and `kernel_initializer`. The initial value
    satisfies the constraint.
    """
    size = layer.kernel_size
    kernel = layer.add_weight(
        (size, size, channels, filters),
        layer.kernel_initializer,
        name="kernel",
        constraint=constraint,
    )
    if constraint is not None:
        value = ops.convert_to_tensor(kernel)
        if isinstance(constraint, TightFrame):
            value = nearest_tight_frame(value)
        kernel.assign(constraint(value))
    return kernel


def unit_norm_constraint():
    """The constraint that keeps every atom at norm 1."""
    return keras.constraints.UnitNorm(axis=[0, 1, 2])


@keras.saving.register_keras_serializable(package="keras_csc")
class TightFrame(keras.constraints.Constraint):
    """Keeps the atoms a tight frame of the space of patches.

    With the atoms as columns of `W`, `(k·k·channels, filters)`: as many atoms
    as dimensions or fewer are orthonormal, `WᵀW = I`; more have
    `W Wᵀ = (filters / (k·k·channels)) I` up to the normalisation of every atom
    to norm 1, which comes last. No direction of a patch is then invisible to a
    dictionary of as many atoms as dimensions or more, and `AAᵀ` stays well
    conditioned.

    Two Newton-Schulz iterations `W ← 3/2 W - 1/2 W WᵀW` towards the nearest
    tight frame, which a small step of training has not left far behind.

    References:
        Cissé et al., Parseval networks, ICML 2017, section 4.2; Ravishankar &
        Bresler, Learning sparsifying transforms, IEEE TSP 2013.
    """

    def __call__(self, kernel):
        matrix, scale = _scaled_matrix(kernel)
        for _ in range(2):
            gram = _small_gram(matrix)
            if matrix.shape[0] < matrix.shape[1]:
                matrix = 1.5 * matrix - 0.5 * ops.matmul(gram, matrix)
            else:
                matrix = 1.5 * matrix - 0.5 * ops.matmul(matrix, gram)
        frame = ops.reshape(matrix * scale, kernel.shape)
        return unit_norm_constraint()(frame)


def nearest_tight_frame(kernel):
    """The tight frame nearest to any atoms: the polar factor, by an SVD."""
    matrix, scale = _scaled_matrix(kernel)
    left, _, right = ops.svd(matrix, full_matrices=False)
    return ops.reshape(ops.matmul(left, right) * scale, kernel.shape)


def _scaled_matrix(kernel):
    """Atoms as columns, such that those of a tight frame are Parseval."""
    filters = kernel.shape[-1]
    matrix = ops.reshape(kernel, (-1, filters))
    scale = max(filters / matrix.shape[0], 1.0) ** 0.5
    return matrix / scale, scale


def _small_gram(matrix):
    transposed = ops.transpose(matrix)
    if matrix.shape[0] < matrix.shape[1]:
        return ops.matmul(matrix, transposed)
    return ops.matmul(transposed, matrix)
