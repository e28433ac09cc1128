import functools

import numpy as np
import pytest
import tensorflow as tf

from keras_csc import ops
from tests.helpers import references

SPARSITIES = {
    "number": np.float64(0.3),
    "per filter": np.array([0.0, 0.2, 0.4, 0.9]),
    "per example": np.array([0.1, 0.7]).reshape(2, 1, 1, 1),
}
# With a step a bit below the longest.
problem = functools.partial(references.problem, step=0.95)


@pytest.mark.parametrize(
    "sparsity, nonnegative, strides, padding",
    [
        ("number", False, 1, "same"),
        ("per filter", False, 2, "same"),
        ("per example", True, 3, "valid"),
    ],
)
def test_every_step_is_that_of_a_plain_loop(
    sparsity, nonnegative, strides, padding
):
    images, kernel, step_size = problem(1, (9, 8), 4, strides, padding)
    point = images, kernel, SPARSITIES[sparsity], step_size
    for iterations in range(1, 7):
        arguments = nonnegative, strides, padding, iterations
        np.testing.assert_allclose(
            ops.sparse_code(*point, *arguments),
            references.solve_sparse_code(*point, *arguments),
            rtol=0,
            atol=1e-12,
        )


@pytest.mark.parametrize(
    "sparsity, nonnegative, kernel_size, strides, padding, iterations",
    [
        ("number", False, 3, 1, "same", 1),
        ("per filter", True, 3, 1, "same", 5),
        ("per filter", False, 4, 2, "same", 4),
        ("per example", True, 2, 3, "valid", 3),
        ("number", False, 6, 1, "valid", 3),
    ],
)
def test_gradients_are_those_of_finite_differences(
    sparsity, nonnegative, kernel_size, strides, padding, iterations
):
    *point, step_size = problem(4, (6, 6), kernel_size, strides, padding)
    point += [SPARSITIES[sparsity], np.array(step_size)]
    arguments = nonnegative, strides, padding, iterations
    rng = np.random.default_rng(6)
    tensors = [tf.constant(value) for value in point]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        codes = ops.sparse_code(*tensors, *arguments)
        weights = rng.normal(size=codes.shape)
        value = tf.reduce_sum(weights * codes)
    gradients = tape.gradient(value, tensors)
    assert 0.1 < np.mean(codes.numpy() != 0)
    for index, gradient in enumerate(gradients):
        assert gradient.shape == point[index].shape
        direction = rng.normal(size=point[index].shape)

        def along(value):
            moved = [*point[:index], value, *point[index + 1 :]]
            codes = references.solve_sparse_code(*moved, *arguments)
            return np.sum(weights * codes)

        expected = references.directional_derivative(
            along, point[index], direction, 1e-7
        )
        np.testing.assert_allclose(
            np.sum(gradient * direction), expected, rtol=1e-5, atol=1e-6
        )


def test_black_images_have_a_gradient_where_there_is_no_sparsity():
    """With `λ = 0` the codes are a linear map of the images, at 0 as well."""
    sparsity = SPARSITIES["per filter"]
    _, kernel, step_size = problem()
    rng = np.random.default_rng(6)
    black, direction = tf.zeros((2, 6, 7, 2), "float64"), rng.normal(size=168)
    direction = 1e-3 * direction.reshape(black.shape)
    arguments = {"iterations": 3}
    with tf.GradientTape() as tape:
        tape.watch(black)
        codes = ops.sparse_code(black, kernel, sparsity, step_size, **arguments)
        weights = rng.normal(size=codes.shape)
        value = tf.reduce_sum(weights * codes)
    gradient = tape.gradient(value, black)
    codes = references.solve_sparse_code(
        direction, kernel, sparsity, step_size, **arguments
    )
    assert np.sum(weights * codes) != 0
    np.testing.assert_allclose(
        np.sum(gradient * direction), np.sum(weights * codes), rtol=1e-10
    )


@pytest.mark.parametrize("size, kernel_size, strides", [(6, 3, 1), (16, 4, 2)])
def test_half_precision_gradients_approach_the_exact_ones(
    size, kernel_size, strides
):
    images, kernel, step_size = problem(7, (size, size), kernel_size, strides)

    def gradients(dtype):
        tensors = [tf.cast(value, dtype) for value in (images, kernel)]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            codes = ops.sparse_code(
                *tensors, np.float64(0.05), step_size, strides=strides
            )
            value = tf.reduce_sum(tf.cast(codes, "float64") ** 2)
        return tape.gradient(value, tensors)

    for coarse, exact in zip(gradients("bfloat16"), gradients("float64")):
        assert coarse.dtype == "bfloat16"
        error = np.linalg.norm(tf.cast(coarse, "float64") - exact)
        assert error < 0.05 * np.linalg.norm(exact)
