"""Measures of dictionaries against dense matrices, SciPy and brute force."""

import itertools

import numpy as np
import pytest
from scipy.signal import correlate

from keras_csc.metrics import match_atoms
from keras_csc.metrics import mutual_coherence
from tests.helpers import references


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


# === Coherence ===


def gram(kernel, strides):
    """Cosines of the columns of `A` of an image that all atoms lie within."""
    size = 4 * len(kernel) + strides
    matrix, _ = references.analysis_matrix(
        kernel, (size, size), strides, "valid"
    )
    norms = np.linalg.norm(matrix, axis=1)
    matrix = matrix / norms[:, None]
    cosines = matrix @ matrix.T
    np.fill_diagonal(cosines, 0)
    return cosines


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize(
    "shape, strides",
    [((3, 3, 1, 4), 1), ((4, 4, 2, 3), 2), ((2, 2, 1, 3), 3)],
)
def test_coherence_is_that_of_the_dense_dictionary(shape, strides, nonnegative):
    kernel = draw(*shape)
    cosines = gram(kernel, strides)
    expected = np.max(cosines if nonnegative else np.abs(cosines))
    value = mutual_coherence(kernel, strides, nonnegative)
    assert value == pytest.approx(expected, abs=1e-12)
    silent = np.concatenate([kernel, np.zeros_like(kernel)], -1)
    assert mutual_coherence(silent, strides, nonnegative) == value


# === Stability ===


def similarity(first, second, strides):
    """By SciPy's correlation of whole images, channel by channel."""
    total = sum(
        correlate(first[..., c], second[..., c], mode="full")
        for c in range(first.shape[-1])
    )
    start = (len(first) - 1) % strides
    total = np.abs(total[start::strides, start::strides]).max()
    return total / np.linalg.norm(first) / np.linalg.norm(second)


@pytest.mark.parametrize("strides", [1, 2])
def test_stability_is_that_of_the_best_of_all_permutations(strides):
    kernel, other = draw(3, 3, 2, 5), draw(3, 3, 2, 5, seed=1)
    table = np.array(
        [
            [
                similarity(kernel[..., i], other[..., j], strides)
                for j in range(5)
            ]
            for i in range(5)
        ]
    )
    best = max(
        np.mean(table[range(5), order])
        for order in itertools.permutations(range(5))
    )
    others, found = match_atoms(kernel, other, strides)
    assert found.mean() == pytest.approx(best)
    np.testing.assert_allclose(found, table[range(5), others])


def test_sign_matters_without_negative_codes():
    kernel = draw(4, 4, 1, 2)
    assert match_atoms(kernel, -kernel)[1].mean() == pytest.approx(1)
    assert match_atoms(kernel, -kernel, nonnegative=True)[1].mean() < 0.9
