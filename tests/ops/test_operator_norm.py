import numpy as np
import pytest
import references

from keras_csc import ops

CASES = [(3, 1, "same"), (4, 2, "same"), (3, 3, "same"), (3, 2, "valid")]


def draw(kernel_size):
    rng = np.random.default_rng(0)
    return rng.normal(size=(kernel_size, kernel_size, 2, 3))


@pytest.mark.parametrize("kernel_size, strides, padding", CASES)
def test_operator_norm_is_the_largest_eigenvalue(kernel_size, strides, padding):
    kernel = draw(kernel_size)
    size = (7, 6)
    matrix, _ = references.analysis_matrix(kernel, size, strides, padding)
    expected = np.linalg.eigvalsh(matrix.T @ matrix)[-1]
    for seed in (0, 1):
        result = ops.operator_norm(
            kernel, size, strides, padding, iterations=300, seed=seed
        )
        assert (1 - 1e-3) * expected < result < (1 + 1e-12) * expected


@pytest.mark.parametrize("kernel_size, strides, padding", CASES)
def test_power_iteration_rises_from_below(kernel_size, strides, padding):
    kernel = draw(kernel_size)
    size = (7, 6)
    largest = references.largest_eigenvalue(kernel, size, strides, padding)
    vector = np.random.default_rng(1).normal(size=(1, *size, 2))
    vector = vector / np.linalg.norm(vector)
    values = []
    for _ in range(20):
        value, vector = ops.power_iteration(kernel, vector, strides, padding)
        values.append(float(value))
        np.testing.assert_allclose(np.linalg.norm(vector), 1, rtol=1e-13)
    assert np.all(np.diff(values) >= -1e-12 * largest)
    assert values[0] < values[-1] <= largest * (1 + 1e-12)


def test_iterations_in_one_call_are_those_of_several_calls():
    kernel = draw(3)
    start = np.ones((1, 5, 6, 2)) / np.sqrt(60)
    value, vector = ops.power_iteration(kernel, start, iterations=3)
    again = start
    for _ in range(3):
        last, again = ops.power_iteration(kernel, again)
    np.testing.assert_allclose(value, last, rtol=1e-13)
    np.testing.assert_allclose(vector, again, atol=1e-14)


def test_step_below_the_inverse_norm_is_a_descent():
    kernel = draw(3)
    images = np.random.default_rng(2).normal(size=(1, 6, 6, 2))
    norm = ops.operator_norm(kernel, (6, 6), iterations=300)
    safe, unsafe = (
        references.program_value(
            images,
            ops.sparse_code(
                images,
                kernel,
                np.float64(0.01),
                factor / norm,
                iterations=60,
                algorithm="ista",
            ).numpy(),
            kernel,
            0.01,
            0.0,
            1,
            "same",
        )
        for factor in (1.0, 2.2)
    )
    assert safe < 0.5 * np.sum(images**2) < unsafe
