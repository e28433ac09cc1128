"""Measures of dictionaries of atoms.

Kernels are arrays `(k, k, channels, filters)`, one atom `d_j` a filter.
"""

import numpy as np
import tensorflow as tf
from scipy.optimize import linear_sum_assignment


def mutual_coherence(kernel, strides=1, nonnegative=False):
    """Largest cosine between two atoms at any two places.

    `μ = max |<d_i, S_t d_j>| / (‖d_i‖ ‖d_j‖)` over atoms and shifts `t` by
    multiples of the stride, except of an atom and itself in place. This is the
    mutual coherence of all columns of `A` that do not hang over the border of
    the image. Codes of fewer than `(1 + 1/μ)/2` atoms in all are unique.

    Args:
        kernel: array `(k, k, channels, filters)`. A zero atom has cosine 0.
        strides: int, of the layer.
        nonnegative: bool, whether codes are `≥ 0`. Then `d` and `-d` make
            different images, and cosines count with their sign.

    Returns:
        A float in `[0, 1]`.

    Reference:
        - [Papyan, Sulam & Elad, 2017](https://arxiv.org/abs/1607.02009),
          section II
    """
    cosines = _largest_cosines(kernel, kernel, strides, nonnegative, own=False)
    return float(cosines.max())


def match_atoms(kernel, other, strides=1, nonnegative=False):
    """Matches the atoms of two dictionaries one to one, such as of two seeds.

    The similarity of two atoms is their largest cosine in magnitude over all
    shifts, `max_t |<d_i, S_t d'_j>| / (‖d_i‖ ‖d'_j‖)`. The mean of the
    similarities is as large as can be, and is the *stability* of dictionaries.

    Args:
        kernel: array `(k, k, channels, filters)`.
        other: array of the same shape.
        strides: int, atoms are shifted by multiples of it.
        nonnegative: bool, whether cosines count with their sign.

    Returns:
        `(others, similarities)`, for every atom. `others` are ints, the atoms
        of the other dictionary. `similarities` are floats in `[0, 1]`, 1 for
        the same atom in any scale and, unless `nonnegative`, sign.

    References:
        - [Kuhn, 1955](https://doi.org/10.1002/nav.3800020109), the Hungarian
          method, by `scipy.optimize.linear_sum_assignment`
        - [Fel et al., 2025](https://arxiv.org/abs/2502.12892), the stability
          of dictionaries, there without shifts
    """
    cosines = _largest_cosines(kernel, other, strides, nonnegative)
    atoms, others = linear_sum_assignment(cosines, maximize=True)
    return others, cosines[atoms, others]


def _largest_cosines(kernel, other, strides, nonnegative, own=True):
    """Largest cosine over shifts of every two atoms, `(filters, filters)`.

    Without `own`, atoms are not compared with themselves in place.
    """
    first, second = _normed(kernel), _normed(other)
    atoms = np.moveaxis(first, -1, 0)
    margins = [(size - 1) // strides * strides for size in first.shape[:2]]
    atoms = np.pad(atoms, [(0, 0), *((m, m) for m in margins), (0, 0)])
    # By atom, shift and atom: TensorFlow's convolution does not flip.
    cosines = tf.nn.conv2d(atoms, second, strides, "VALID").numpy()
    if not nonnegative:
        cosines = np.abs(cosines)
    if not own:
        atom, (down, right) = np.arange(len(atoms)), margins
        cosines[atom, down // strides, right // strides, atom] = 0
    return np.clip(cosines.max((1, 2)), 0, 1)


def _normed(kernel):
    kernel = np.asarray(kernel, "float64")
    norms = np.sqrt(np.sum(np.square(kernel), axis=(0, 1, 2)))
    return kernel / np.where(norms > 0, norms, 1)
