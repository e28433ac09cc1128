import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_csc import ops

NUMBERS = st.floats(-5, 5)
THRESHOLDS = st.floats(0, 4)


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 1.25])
def test_soft_threshold_minimises_its_objective(threshold, nonnegative):
    values = np.linspace(-2, 2, 41)
    candidates = np.linspace(0 if nonnegative else -3, 3, 6001)
    cost = (
        threshold * np.abs(candidates)
        + 0.5 * (candidates - values[:, None]) ** 2
    )
    best = candidates[np.argmin(cost, axis=1)]
    result = ops.soft_threshold(values, threshold, nonnegative)
    np.testing.assert_allclose(result, best, rtol=0, atol=1.1e-3)


@settings(max_examples=25)
@given(NUMBERS, NUMBERS, THRESHOLDS, st.booleans())
def test_soft_threshold_is_firmly_nonexpansive(a, b, threshold, nonnegative):
    p, q = ops.soft_threshold(np.array([a, b]), threshold, nonnegative).numpy()
    assert (p - q) ** 2 <= (p - q) * (a - b) + 1e-12


@settings(max_examples=15)
@given(THRESHOLDS, st.booleans())
def test_soft_threshold_is_zero_exactly_up_to_the_threshold(
    threshold, nonnegative
):
    inside = threshold * np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    assert not np.any(ops.soft_threshold(inside, threshold, nonnegative))
    above = ops.soft_threshold(np.array([threshold + 0.5]), threshold)
    np.testing.assert_allclose(above, [0.5], atol=1e-12)


def test_threshold_broadcasts():
    values = np.full((2, 3), 2.0)
    thresholds = np.array([0.5, 1.0, 3.0])
    result = ops.soft_threshold(values, thresholds)
    np.testing.assert_array_equal(result, [[1.5, 1.0, 0.0]] * 2)
