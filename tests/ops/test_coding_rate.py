import numpy as np
import pytest
import scipy.stats
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
@given(SEEDS, st.integers(1, 20), st.integers(1, 8))
def test_rate_distance_is_the_definition(seed, n, d):
    rng = np.random.default_rng(seed)
    features, others = rng.normal(size=(2, n, d))
    result = ops.rate_distance(features, others)
    expected = references.rate_distance(features, others)
    np.testing.assert_allclose(result, expected, rtol=1e-10, atol=1e-12)
    assert result >= -1e-12
    np.testing.assert_allclose(
        ops.rate_distance(others, features), result, atol=1e-12
    )
    same = ops.rate_distance(features, features[::-1].copy())
    np.testing.assert_allclose(same, 0, atol=1e-12)


def test_rate_distance_of_sets_of_different_sizes():
    features = np.random.default_rng(0).normal(size=(80, 6))
    result = ops.rate_distance(features[:70], features[70:])
    expected = references.rate_distance(features[:70], features[70:])
    np.testing.assert_allclose(result, expected, rtol=1e-10)


@settings(max_examples=8)
@given(SEEDS)
def test_rates_ignore_rotations_and_the_order_of_rows(seed):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(12, 5))
    labels = rng.integers(0, 3, 12)
    rotation = scipy.stats.ortho_group.rvs(5, random_state=rng)
    order = rng.permutation(12)
    moved = (features @ rotation)[order]
    np.testing.assert_allclose(
        ops.coding_rate(moved), ops.coding_rate(features), rtol=1e-12
    )
    np.testing.assert_allclose(
        ops.rate_reduction(moved, labels[order], 3),
        ops.rate_reduction(features, labels, 3),
        rtol=1e-11,
    )


def test_classes_in_orthogonal_subspaces_reduce_the_rate_most():
    features = np.repeat(np.eye(4), 5, axis=0)
    apart = ops.rate_reduction(features, np.repeat(np.arange(4), 5), 4)
    mixed = ops.rate_reduction(features, np.tile(np.arange(4), 5), 4)
    expected = 2 * np.log(1 + 2) - 0.5 * np.log(1 + 8)
    np.testing.assert_allclose(apart, expected, rtol=1e-12)
    assert mixed < 0.5 * apart


@settings(max_examples=8)
@given(SEEDS)
def test_moments_of_the_halves_add_up_to_those_of_the_whole(seed):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(14, 4))
    labels = rng.integers(0, 5, 14)
    first, second, whole = (
        ops.class_moments(features[part], labels[part], 5)
        for part in (slice(0, 6), slice(6, 14), slice(0, 14))
    )
    for one, other, total in zip(first, second, whole):
        np.testing.assert_allclose(one + other, total, rtol=1e-13, atol=1e-13)
    summed = ops.second_moment(features[:6]) + ops.second_moment(features[6:])
    np.testing.assert_allclose(
        ops.moment_coding_rate(summed, 14),
        references.coding_rate(features),
        rtol=1e-12,
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_thousand_classes_most_of_them_absent(dtype):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 6)).astype(dtype)
    labels = rng.integers(0, 1000, 200)
    moments, counts = (
        t.numpy() for t in ops.class_moments(features, labels, 1000)
    )
    assert moments.shape == (1000, 6, 6) and moments.dtype == dtype
    np.testing.assert_array_equal(counts, np.bincount(labels, minlength=1000))
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    for label in range(1000):
        rows = features[labels == label]
        np.testing.assert_allclose(
            moments[label], rows.T @ rows, atol=tolerance, rtol=tolerance
        )
    absent = counts == 0
    assert np.count_nonzero(absent) > 700
    rates = ops.moment_coding_rate(moments, counts).numpy()
    assert not np.any(moments[absent]) and not np.any(rates[absent])
    assert np.all(rates[~absent] > 0)
    np.testing.assert_allclose(
        ops.rate_reduction(features, labels, 1000),
        references.rate_reduction(features.astype("float64"), labels),
        rtol=10 * tolerance,
    )


def test_absent_classes_change_nothing():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(10, 4))
    labels = rng.integers(0, 3, 10)
    assert float(ops.rate_reduction(features, labels, 3)) == float(
        ops.rate_reduction(features, labels, 30)
    )


def test_a_batch_of_moments_has_the_rates_of_each():
    rng = np.random.default_rng(2)
    sets = [rng.normal(size=(n, 4)) for n in (3, 7, 20)]
    moments = np.stack([ops.second_moment(z) for z in sets])
    rates = ops.moment_coding_rate(moments, np.array([3, 7, 20]), 0.7)
    expected = [references.coding_rate(z, 0.7) for z in sets]
    np.testing.assert_allclose(rates, expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["rate", "reduction", "distance"])
def test_gradients_are_those_of_finite_differences(name):
    rng = np.random.default_rng(3)
    features, others = rng.normal(size=(2, 9, 4))
    labels = rng.integers(0, 6, 9)
    assert len(np.unique(labels)) < 6
    function, reference = {
        "rate": (ops.coding_rate, references.coding_rate),
        "reduction": (
            lambda z: ops.rate_reduction(z, labels, 6),
            lambda z: references.rate_reduction(z, labels),
        ),
        "distance": (
            lambda z: ops.rate_distance(z, others),
            lambda z: references.rate_distance(z, others),
        ),
    }[name]
    variable = tf.constant(features)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        value = function(variable)
    gradient = tape.gradient(value, variable).numpy()
    for _ in range(5):
        direction = rng.normal(size=features.shape)
        expected = references.directional_derivative(
            reference, features, direction
        )
        np.testing.assert_allclose(
            np.sum(gradient * direction), expected, rtol=1e-7, atol=1e-9
        )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_features_have_float32_rates(dtype):
    features = tf.cast(np.random.default_rng(4).normal(size=(8, 3)), dtype)
    rate = ops.coding_rate(features)
    assert rate.dtype == "float32"
    exact = tf.cast(features, "float64").numpy()
    np.testing.assert_allclose(rate, references.coding_rate(exact), rtol=1e-5)


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


def test_labels_of_floats_are_refused():
    with pytest.raises(ValueError, match="`labels` must be integers"):
        ops.class_moments(np.eye(3), np.array([0.9, np.nan, -0.5]), 2)


@pytest.mark.parametrize("count", [0.02, 0.6, 3.4])
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


def test_few_long_rows_have_a_rate():
    """Of a singular `ZᵀZ`, which float32 can't tell from an indefinite one."""
    features = 100 * np.random.default_rng(0).normal(size=(10, 128))
    rate = ops.coding_rate(features.astype("float32"))
    np.testing.assert_allclose(rate, references.coding_rate(features), 1e-4)


@pytest.mark.parametrize(
    ("features", "labels", "words"),
    [
        ((60, 8), (40,), "a label for every row of `features`, 60"),
        ((40, 8), (60,), "a label for every row of `features`, 40"),
        ((60, 8), (60, 1), "must have one dimension"),
        ((6, 2, 2, 8), (6,), r"must have the shape \(n, d\)"),
    ],
)
def test_rows_without_labels_of_their_own_are_refused(features, labels, words):
    with pytest.raises(ValueError, match=words):
        ops.rate_reduction(np.ones(features), np.zeros(labels, int), 3)


@pytest.mark.parametrize("epsilon", [0, -0.5, float("nan")])
def test_distortion_is_above_0(epsilon):
    with pytest.raises(ValueError, match="`epsilon` must be a number"):
        ops.coding_rate(np.ones((60, 8)), epsilon)
