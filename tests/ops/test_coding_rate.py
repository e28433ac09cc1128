import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_csc import ops
from keras_csc.ops.coding_rate import moment_rate_distance
from tests.helpers import references

SEEDS = st.integers(0, 10**6)


@settings(max_examples=15)
@given(SEEDS, st.integers(1, 30), st.integers(1, 12), st.floats(0.05, 4))
def test_coding_rate_is_the_log_determinant(seed, n, d, epsilon):
    features = np.random.default_rng(seed).normal(size=(n, d))
    result = ops.coding_rate(features, epsilon)
    expected = references.coding_rate(features, epsilon)
    np.testing.assert_allclose(result, expected, rtol=1e-11)
    assert result >= 0


@settings(max_examples=10)
@given(SEEDS, st.integers(2, 20), st.integers(2, 8), st.integers(1, 6))
def test_rate_reduction_is_the_definition(seed, n, d, classes):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, d))
    labels = rng.integers(0, classes, n)
    result = ops.rate_reduction(features, labels, classes)
    expected = references.rate_reduction(features, labels)
    np.testing.assert_allclose(result, expected, rtol=1e-10, atol=1e-12)
    assert result >= -1e-12


@settings(max_examples=10)
@given(SEEDS, st.integers(1, 20), st.integers(1, 20), st.integers(1, 8))
def test_rate_distance_is_the_definition(seed, n, m, d):
    rng = np.random.default_rng(seed)
    features, others = rng.normal(size=(n, d)), rng.normal(size=(m, d))
    result = ops.rate_distance(features, others)
    expected = references.rate_distance(features, others)
    np.testing.assert_allclose(result, expected, rtol=1e-10, atol=1e-12)
    assert result >= -1e-12
    np.testing.assert_allclose(
        ops.rate_distance(others, features), result, atol=1e-12
    )
    same = ops.rate_distance(features, features[::-1].copy())
    np.testing.assert_allclose(same, 0, atol=1e-12)


def test_gradients_are_those_of_finite_differences():
    rng = np.random.default_rng(3)
    features, others = rng.normal(size=(2, 9, 4))
    labels = rng.integers(0, 6, 9)
    assert len(np.unique(labels)) < 6
    variable, direction = tf.constant(features), rng.normal(size=(9, 4))
    for function, reference in (
        (
            lambda z: ops.rate_reduction(z, labels, 6),
            lambda z: references.rate_reduction(z, labels),
        ),
        (
            lambda z: ops.rate_distance(z, others),
            lambda z: references.rate_distance(z, others),
        ),
    ):
        with tf.GradientTape() as tape:
            tape.watch(variable)
            value = function(variable)
        found = np.sum(tape.gradient(value, variable) * direction)
        expected = references.directional_derivative(
            reference, features, direction
        )
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)


def test_rows_of_no_class_are_left_out():
    """Labels of -1, and those beyond the last class; and of nothing else."""
    rng = np.random.default_rng(0)
    features = references.sphere_features(rng, 64, 4)
    labels = np.repeat([-1, 0, 1, 7], [20, 30, 10, 4])
    known = (labels >= 0) & (labels < 2)
    moments, counts = ops.class_moments(features, labels, np.int64(2))
    np.testing.assert_array_equal(counts, [30, 10])
    for label in (0, 1):
        rows = features[labels == label]
        np.testing.assert_allclose(moments[label], rows.T @ rows, rtol=1e-12)
    np.testing.assert_allclose(
        ops.rate_reduction(features, labels, 2),
        references.rate_reduction(features[known], labels[known]),
        rtol=1e-12,
    )
    assert ops.rate_reduction(features, np.full(64, -1), 2) == 0


@pytest.mark.parametrize(
    "labels",
    [np.array([0, 2**32, 2**32 + 1]), np.array([0, 255, 200], "uint8")],
)
def test_labels_beyond_the_classes_do_not_wrap_around(labels):
    _, counts = ops.class_moments(np.eye(3), labels, 2)
    np.testing.assert_array_equal(counts, [1, 0])


@pytest.mark.parametrize("count", [0.02, 3.4])
def test_counts_need_not_be_whole(count):
    """Those of a fading memory are not."""
    features = np.random.default_rng(0).normal(size=(3, 4))
    count = np.float64(count)
    moment = features.T @ features * count / 3
    expected = references.coding_rate(features)
    rate = ops.moment_coding_rate(moment, count)
    np.testing.assert_allclose(rate, expected, rtol=1e-12)
    distance = moment_rate_distance(moment, moment, count)
    np.testing.assert_allclose(distance, 0, atol=1e-12)


def test_half_precision_features_have_float32_rates():
    features = np.random.default_rng(4).normal(size=(8, 3))
    features = tf.cast(features, "bfloat16")
    rate = ops.coding_rate(features)
    assert rate.dtype == "float32"
    exact = tf.cast(features, "float64").numpy()
    np.testing.assert_allclose(rate, references.coding_rate(exact), rtol=1e-5)


@pytest.mark.parametrize(
    "features, labels, options, words",
    [
        ((6, 8), [0] * 4, {}, "a label for every row of `features`, 6"),
        ((6, 8), [[0]] * 6, {}, "must have one dimension"),
        ((6, 8), [0.9] * 6, {}, "`labels` must be integers"),
        ((6, 2, 2, 8), [0] * 6, {}, r"must have the shape \(n, d\)"),
        ((6, 8), [0] * 6, {"epsilon": 0}, "`epsilon` must be a number"),
    ],
)
def test_what_is_refused(features, labels, options, words):
    with pytest.raises(ValueError, match=words):
        ops.rate_reduction(np.ones(features), np.array(labels), 3, **options)
