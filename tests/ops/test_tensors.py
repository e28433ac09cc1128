"""The sphere, also where there is no direction to it."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import settings
from hypothesis.strategies import integers

from keras_csc.ops.tensors import great_circle
from keras_csc.ops.tensors import to_sphere


def test_rows_are_divided_by_their_norm():
    rows = np.random.default_rng(0).normal(size=(5, 3)) * [
        [1e-4],
        [1],
        *3 * [[1e4]],
    ]
    expected = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(
        to_sphere(tf.constant(rows)), expected, rtol=1e-12
    )


def test_a_row_of_zeros_has_a_gradient():
    rows = tf.zeros((2, 3))
    with tf.GradientTape() as tape:
        tape.watch(rows)
        result = to_sphere(rows)
    assert np.isfinite(tape.gradient(result, rows)).all()


@pytest.mark.parametrize(
    "dtype, expected",
    [("float16", "float16"), ("float64", "float64"), ("int32", "float32")],
)
def test_rows_of_other_types(dtype, expected):
    result = to_sphere(tf.constant([[0, 0], [3, 4]], dtype))
    assert result.dtype == expected
    np.testing.assert_allclose(result, [[0, 0], [0.6, 0.8]], rtol=1e-3)


@settings(max_examples=10)
@given(integers(0, 2**32 - 1), integers(2, 7), integers(2, 9))
def test_great_circles_have_constant_speed(seed, dimension, steps):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, 3, dimension)).astype("float32")
    first, second = (
        x / np.linalg.norm(x, axis=1, keepdims=True) for x in (first, second)
    )
    points = np.asarray(great_circle(first, second, steps), "float64")
    assert points.shape == (3, steps, dimension)
    np.testing.assert_allclose(np.linalg.norm(points, axis=-1), 1, atol=1e-6)
    np.testing.assert_allclose(points[:, 0], first, atol=1e-6)
    np.testing.assert_allclose(points[:, -1], second, atol=2e-6)
    angle = np.arccos(np.clip(np.sum(points[:, 0] * points[:, -1], -1), -1, 1))
    chords = np.linalg.norm(np.diff(points, axis=1), axis=-1)
    expected = 2 * np.sin(angle / (steps - 1) / 2)
    np.testing.assert_allclose(
        chords, expected[:, None] + 0 * chords, atol=1e-5
    )


def test_great_circles_of_equal_and_antipodal_points():
    rng = np.random.default_rng(0)
    first = rng.normal(size=(4, 5)).astype("float32")
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    same = np.asarray(great_circle(first, first, 4))
    np.testing.assert_allclose(same, first[:, None] + 0 * same, atol=1e-7)
    points = np.asarray(great_circle(first, -first, 5))
    np.testing.assert_allclose(np.linalg.norm(points, axis=-1), 1, atol=1e-6)
    np.testing.assert_allclose(points[:, -1], -first, atol=1e-6)
    chords = np.linalg.norm(np.diff(points, axis=1), axis=-1)
    np.testing.assert_allclose(chords, 2 * np.sin(np.pi / 8), atol=1e-5)
