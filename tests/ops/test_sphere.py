"""The sphere, also where there is no direction to it."""

import numpy as np
import tensorflow as tf

from keras_csc.ops.sphere import to_sphere


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


def test_a_row_of_zeros_stays_and_has_a_gradient():
    rows = tf.zeros((2, 3))
    with tf.GradientTape() as tape:
        tape.watch(rows)
        result = to_sphere(rows)
    assert not result.numpy().any()
    assert np.isfinite(tape.gradient(result, rows)).all()
