"""Measures of dictionaries of atoms, and of how codes use them.

Kernels are arrays `(k, k, channels, filters)`, one atom `d_j` a filter; codes
are arrays `(n, height, width, filters)`.
"""

import collections

import numpy as np
from scipy.optimize import linear_sum_assignment

from keras_csc.validation import check_at_least
from keras_csc.validation import check_bool
from keras_csc.validation import check_choice
from keras_csc.validation import check_finite
from keras_csc.validation import check_integer

AtomMatch = collections.namedtuple("AtomMatch", ["atoms", "similarities"])
AtomMatch.__doc__ = """The atoms of another dictionary that match those of one.

atoms: ints `(filters,)`, the other's atom for every one.
similarities: float64 array `(filters,)` in `[0, 1]`.
"""


def code_density(codes, threshold=0.0, of="places"):
    """Share of places, or of images, at which every atom is active.

    `mean_i,p [|z_ipj| > t]`, or `mean_i max_p [|z_ipj| > t]` of images.

    Args:
        codes: array `(n, height, width, filters)`.
        threshold: float `t`, at least 0. Defaults to 0: soft thresholding
            gives exact zeros.
        of: `"places"` or `"images"`.

    Returns:
        A float64 array `(filters,)` in `[0, 1]`. That of several batches is
        their mean, weighted by the number of images.

    Raises:
        ValueError: if `codes` is not such an array of finite numbers, or an
            argument is out of range.

    Reference:
        - feature densities of sparse autoencoders: [Bricken et al., 2023](
          https://transformer-circuits.pub/2023/monosemantic-features)
    """
    check_at_least(0, threshold=threshold)
    check_choice(("places", "images"), of=of)
    active = np.abs(_as_codes(codes)) > threshold
    if of == "images":
        active = active.any(axis=(1, 2), keepdims=True)
    return active.mean(axis=(0, 1, 2))


def dead_atoms(density, threshold=0.0):
    """Atoms that are active nowhere, or on no more than a share of places.

    Args:
        density: array `(filters,)`, of `code_density`.
        threshold: float, the largest density of a dead atom. Defaults to 0.

    Returns:
        Ints, the numbers of the atoms.

    Raises:
        ValueError: if `density` is not such an array, or `threshold` negative.
    """
    check_at_least(0, threshold=threshold)
    return np.flatnonzero(_as_density(density) <= threshold)


def rare_atoms(density, threshold=0.01, dead=0.0):
    """Atoms that are active, but on no more than a share of places.

    Args:
        density: array `(filters,)`, of `code_density`.
        threshold: float, the largest density of a rare atom. Defaults to 0.01.
        dead: float, the largest density of a dead one. Defaults to 0.

    Returns:
        Ints, the numbers of the atoms.

    Raises:
        ValueError: if `density` is not such an array, or `threshold` less than
            `dead`.
    """
    check_at_least(0, dead=dead)
    check_at_least(dead, threshold=threshold)
    density = _as_density(density)
    return np.flatnonzero((density > dead) & (density <= threshold))


def atom_energies(codes, kernel):
    """Mean energy that every atom brings to an image.

    `‖d_j‖² mean_i Σ_p z_ipj²`: that of its contribution `A z_j` but for where
    copies of the atom overlap, or hang over the border.

    Args:
        codes: array `(n, height, width, filters)`.
        kernel: array `(k, k, channels, filters)`.

    Returns:
        A float64 array `(filters,)`. That of several batches is their mean,
        weighted by the number of images.

    Raises:
        ValueError: if the arrays are not finite, or not of these shapes.
    """
    codes, kernel = _as_codes(codes), _as_kernel("kernel", kernel)
    if codes.shape[-1] != kernel.shape[-1]:
        raise ValueError(
            "`codes` and `kernel` must have as many filters. "
            f"Received: {codes.shape[-1]} and {kernel.shape[-1]}"
        )
    squares = np.mean(np.sum(np.square(codes), axis=(1, 2)), axis=0)
    return squares * np.sum(np.square(kernel), axis=(0, 1, 2))


def mutual_coherence(kernel, strides=1, nonnegative=False):
    """Largest cosine between two atoms at any two places.

    `max |<d_i, S_t d_j>| / (‖d_i‖ ‖d_j‖)` over atoms and shifts `t` by
    multiples of the stride, but for an atom and itself in place: the mutual
    coherence of all columns of `A`, but for those that hang over the border of
    the image. Codes of fewer than `(1 + 1/μ)/2` atoms in all are unique.

    Args:
        kernel: array `(k, k, channels, filters)`. A zero atom has cosine 0.
        strides: int, of the layer. Defaults to 1.
        nonnegative: bool, whether codes are `≥ 0`. Then `d` and `-d` do not
            make the same, and cosines count with their sign; 0 if there is
            none above it. Defaults to `False`.

    Returns:
        A float in `[0, 1]`.

    Raises:
        ValueError: if `kernel` is not of that shape or not finite, or
            `strides` not positive.

    Reference:
        - [Papyan, Sulam & Elad, 2017](https://arxiv.org/abs/1607.02009),
          section II
    """
    kernel = _as_kernel("kernel", kernel)
    return float(
        _largest_cosines(kernel, kernel, strides, nonnegative, own=False).max()
    )


def match_atoms(kernel, other, strides=1, nonnegative=False):
    """Matches the atoms of two dictionaries, one to one.

    The similarity of two atoms is their largest cosine in magnitude over all
    shifts, `max_t |<d_i, S_t d'_j>| / (‖d_i‖ ‖d'_j‖)`; the matching makes the
    sum of the similarities as large as can be.

    Args:
        kernel: array `(k, k, channels, filters)`.
        other: array of the same shape.
        strides: int, atoms are shifted by multiples of it. Defaults to 1.
        nonnegative: bool, whether cosines count with their sign. Defaults to
            `False`.

    Returns:
        `AtomMatch`.

    Raises:
        ValueError: if the arrays are not finite or differ in shape, or
            `strides` is not positive.

    Reference:
        - [Kuhn, 1955](https://doi.org/10.1002/nav.3800020109), the Hungarian
          method, by `scipy.optimize.linear_sum_assignment`
    """
    kernel, other = _as_kernel("kernel", kernel), _as_kernel("other", other)
    if kernel.shape != other.shape:
        raise ValueError(
            "`kernel` and `other` must have the same shape. "
            f"Received: {kernel.shape} and {other.shape}"
        )
    cosines = _largest_cosines(kernel, other, strides, nonnegative)
    rows, columns = linear_sum_assignment(cosines, maximize=True)
    return AtomMatch(columns, cosines[rows, columns])


def dictionary_stability(kernel, other, strides=1, nonnegative=False):
    """How much of a dictionary another one has, as of another seed.

    The mean similarity of the atoms that `match_atoms` matches.

    Args:
        kernel: array `(k, k, channels, filters)`.
        other: array of the same shape.
        strides: int, as of `match_atoms`.
        nonnegative: bool, as of `match_atoms`.

    Returns:
        A float in `[0, 1]`; 1 of the same atoms in any order, sign and scale.

    Raises:
        ValueError: as `match_atoms`.

    Reference:
        - [Fel et al., 2025](https://arxiv.org/abs/2502.12892), the stability
          of dictionaries, there without shifts
    """
    match = match_atoms(kernel, other, strides, nonnegative)
    return float(np.mean(match.similarities))


def _largest_cosines(kernel, other, strides, nonnegative, own=True):
    """Largest cosine over shifts of every two atoms, `(filters, filters)`.

    Without `own`, atoms are not compared with themselves in place.
    """
    check_integer(1, strides=strides)
    check_bool(nonnegative=nonnegative)
    first, second = _normed(kernel), _normed(other)
    largest = np.zeros((first.shape[-1], second.shape[-1]))
    height, width = (
        range(-((size - 1) // strides) * strides, size, strides)
        for size in first.shape[:2]
    )
    for down in height:
        for right in width:
            cosines = _flat(first, down, right) @ _flat(second, -down, -right).T
            if not nonnegative:
                cosines = np.abs(cosines)
            if not (own or down or right):
                np.fill_diagonal(cosines, 0)
            np.maximum(largest, cosines, out=largest)
    return np.minimum(largest, 1)


def _flat(kernel, down, right):
    """What of the atoms lies within others that are shifted so, as rows."""
    rows, columns = (
        slice(max(shift, 0), size + min(shift, 0))
        for shift, size in zip((down, right), kernel.shape)
    )
    return kernel[rows, columns].reshape(-1, kernel.shape[-1]).T


def _normed(kernel):
    norms = np.sqrt(np.sum(np.square(kernel), axis=(0, 1, 2)))
    return kernel / np.where(norms > 0, norms, 1)


def _as_codes(codes):
    return _as_array("codes", codes, "(n, height, width, filters)")


def _as_kernel(name, kernel):
    return _as_array(name, kernel, "(k, k, channels, filters)")


def _as_array(name, values, shape):
    values = np.asarray(values, dtype="float64")
    if values.ndim != 4 or not values.size:
        raise ValueError(
            f"`{name}` must be of shape {shape}, and not empty. "
            f"Received: shape={values.shape}"
        )
    check_finite(name, values)
    return values


def _as_density(density):
    density = np.asarray(density, dtype="float64")
    if density.ndim != 1 or not np.all((density >= 0) & (density <= 1)):
        raise ValueError(
            "`density` must be shares in [0, 1], one for every atom, as of "
            f"`code_density`. Received: shape={density.shape}"
        )
    return density
