"""Pre- and postfilters of lapped transforms, against what they promise."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from scipy.fft import dct
from scipy.linalg import toeplitz

from keras_csc import ops


@pytest.mark.parametrize(
    "block, shape", [(2, (6, 4)), (4, (4, 12)), (8, (16, 24))]
)
def test_filters_are_orthonormal_and_leave_constants(block, shape):
    images = np.random.default_rng(0).normal(size=(2, *shape, 3))
    given = ops.prefilter(images, block)
    assert np.sum(np.square(given)) == pytest.approx(np.sum(images**2))
    np.testing.assert_allclose(ops.postfilter(given, block), images, atol=1e-12)
    constant = np.ones((1, *shape, 1))
    np.testing.assert_allclose(ops.prefilter(constant, block), constant)


@pytest.mark.parametrize(
    "block, size", [(4, (8, 10)), (4, (6, 8)), (3, (6, 6))]
)
def test_images_of_other_than_whole_blocks_are_refused(block, size):
    """Else pixels of two rows, or of two images, would be mixed."""
    images = np.zeros((2, *size, 1))
    for function in (ops.prefilter, ops.postfilter):
        with pytest.raises(ValueError, match=f"whole blocks.*{block}"):
            function(images, block)


def test_blocks_of_cosines_become_the_lapped_orthogonal_transform():
    """Its coding gain for an AR(1) process of .95 is the published 9.2 dB."""
    count, block = 12, 8
    column = np.eye(count * block)[:, :, None, None]
    rows = np.tile(column, (1, 1, block, 1))
    matrix = np.asarray(ops.prefilter(rows, block))[:, :, 0, 0].T
    middle = slice(5 * block, 6 * block)
    analysis = dct(np.eye(block), axis=0, norm="ortho") @ matrix[middle]
    covariance = toeplitz(0.95 ** np.arange(count * block))
    variances = np.diag(analysis @ covariance @ analysis.T)
    gain = -10 * np.mean(np.log10(variances))
    assert gain == pytest.approx(9.2, abs=0.05)


def test_images_of_unknown_size_are_mixed_alike():
    images = np.random.default_rng(0).normal(size=(2, 12, 16, 3))
    unknown = tf.TensorSpec((None, None, None, 3), images.dtype)
    for operator in (ops.prefilter, ops.postfilter):
        free = tf.function(functools.partial(operator, block=4), [unknown])
        np.testing.assert_allclose(
            free(images), operator(images, 4), atol=1e-14
        )
