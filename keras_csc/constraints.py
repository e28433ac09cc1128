"""Constraints that keep atoms what a dictionary needs them to be.

The kernel of a layer, `(k, k, channels, filters)`, has one atom per filter.
"""

import keras
from keras import ops

from keras_csc.ops.tensors import as_dtype_of
from keras_csc.ops.tensors import at_least_float32


@keras.saving.register_keras_serializable(package="keras_csc")
class UnitAtoms(keras.constraints.UnitNorm):
    """Keeps every atom at norm 1."""

    def __init__(self):
        super().__init__(axis=[0, 1, 2])

    def get_config(self):
        return {}


@keras.saving.register_keras_serializable(package="keras_csc")
class TightFrame(keras.constraints.Constraint):
    """Keeps the atoms a tight frame of the space of patches.

    The atoms are the columns of `W`, `(k·k·channels, filters)`. If there are no
    more atoms than dimensions, they are orthonormal, `WᵀW = I`. More atoms have
    `W Wᵀ = (filters / (k·k·channels)) I`, up to the normalisation of every atom
    to norm 1, which comes last. A dictionary of at least as many atoms as
    dimensions then sees every direction of a patch, and `AAᵀ` stays well
    conditioned.

    Two Newton-Schulz iterations `W ← 3/2 W - 1/2 W WᵀW` lead towards the
    nearest tight frame, which is near after a small step of training. A large
    step may leave singular values above √5, which the iterations would enlarge.
    Where a bound of the largest singular value is above 1.5, `W` is first
    scaled to bring the bound to 1.5.

    References:
        Cissé et al., Parseval networks, ICML 2017, section 4.2; Ravishankar &
        Bresler, Learning sparsifying transforms, IEEE TSP 2013.
    """

    def __call__(self, kernel):
        matrix, scale = _scaled_matrix(kernel)
        sums = ops.sum(ops.abs(_small_gram(matrix)), axis=0)
        matrix = matrix / ops.maximum(ops.sqrt(ops.max(sums)) / 1.5, 1)
        for _ in range(2):
            gram = _small_gram(matrix)
            if matrix.shape[0] < matrix.shape[1]:
                matrix = 1.5 * matrix - 0.5 * ops.matmul(gram, matrix)
            else:
                matrix = 1.5 * matrix - 0.5 * ops.matmul(matrix, gram)
        frame = ops.reshape(matrix * scale, kernel.shape)
        return UnitAtoms()(frame)

    def nearest(self, kernel):
        """The tight frame nearest to any atoms: the polar factor, by an SVD."""
        matrix, scale = _scaled_matrix(at_least_float32(kernel))
        left, _, right = ops.svd(matrix, full_matrices=False)
        frame = ops.reshape(ops.matmul(left, right) * scale, kernel.shape)
        return as_dtype_of(frame, kernel)


NAMES = {"unit_atoms": UnitAtoms, "tight_frame": TightFrame}


def get(identifier):
    """The constraint of a name in `NAMES`, or `keras.constraints.get`.

    Raises:
        ValueError: for what neither of them knows.
    """
    if isinstance(identifier, str) and identifier in NAMES:
        return NAMES[identifier]()
    return keras.constraints.get(identifier)


def satisfied(constraint, kernel):
    """A kernel that satisfies a constraint, near any kernel."""
    if isinstance(constraint, TightFrame):
        kernel = constraint.nearest(kernel)
    return kernel if constraint is None else constraint(kernel)


def _scaled_matrix(kernel):
    """Atoms as columns, over a scale that makes a tight frame Parseval."""
    filters = kernel.shape[-1]
    matrix = ops.reshape(kernel, (-1, filters))
    scale = max(filters / matrix.shape[0], 1.0) ** 0.5
    return matrix / scale, scale


def _small_gram(matrix):
    transposed = ops.transpose(matrix)
    if matrix.shape[0] < matrix.shape[1]:
        return ops.matmul(matrix, transposed)
    return ops.matmul(transposed, matrix)
