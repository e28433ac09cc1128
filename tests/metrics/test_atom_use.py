"""Measures of dictionaries against dense matrices, SciPy and brute force."""

import itertools

import numpy as np
import pytest
from scipy.signal import correlate

from keras_csc.metrics import code_density
from keras_csc.metrics import dead_atoms
from keras_csc.metrics import match_atoms
from keras_csc.metrics import mutual_coherence
from keras_csc.metrics import rare_atoms
from tests.helpers import references


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_densities_are_counts():
    codes = np.maximum(draw(7, 3, 4, 5) - 1, 0)
    expected = [np.mean([z > 0 for z in codes[..., n].flat]) for n in range(5)]
    np.testing.assert_allclose(code_density(codes), expected)
    expected = [np.mean(codes[0, ..., n] > 0) for n in range(5)]
    np.testing.assert_allclose(code_density(codes[0]), expected)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_codes_are_finite(wrong):
    with pytest.raises(ValueError, match="`codes` must be finite"):
        code_density(np.array([[0.0, wrong]]))


def test_dead_and_rare_atoms():
    density = [0.0, 0.5, 0.01, 0.005, 0.0001, 0.02]
    assert dead_atoms(density).tolist() == [0]
    assert rare_atoms(density).tolist() == [2, 3, 4]
    assert rare_atoms(density, threshold=0.02).tolist() == [2, 3, 4, 5]
    for wrong, name in (
        ((density, np.nan), "threshold"),
        ([np.inf], "density"),
    ):
        with pytest.raises(ValueError, match=f"`{name}` must be"):
            rare_atoms(*wrong)


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
