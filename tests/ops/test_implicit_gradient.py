import functools

import numpy as np
import pytest
import tensorflow as tf

from keras_csc import ops
from keras_csc.ops.implicit_gradient import conjugate_residuals
from tests.helpers import references

SPARSITIES = {
    "number": np.float64(0.2),
    "per filter": np.array([0.1, 0.2, 0.3, 0.4]),
    "per example": np.array([0.1, 0.3]).reshape(2, 1, 1, 1),
}
problem = functools.partial(references.problem, 0, (6, 6))


def codes_and_gradients(point, step_size, **arguments):
    """Codes, the weights of their sum, and its gradients by the point."""
    table = np.random.default_rng(6).normal(size=1000)

    @tf.function
    def run(*tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            codes = ops.solve_sparse_code(*tensors, step_size, **arguments)
            size = tf.shape(codes)
            factors = tf.reshape(tf.constant(table)[: tf.size(codes)], size)
            value = tf.reduce_sum(factors * codes)
        return codes, factors, tape.gradient(value, tensors)

    codes, factors, gradients = run(*map(tf.constant, point))
    return codes.numpy(), factors.numpy(), [g.numpy() for g in gradients]


def exact_gradients(codes, weights, point, *geometry):
    """By dense matrices, from `AₛᵀAₛ zₛ = Aₛᵀx - λ sign(zₛ)`."""
    images, kernel, sparsity = point
    matrix, _ = references.analysis_matrix(kernel, (6, 6), *geometry)
    index, _ = references.analysis_index(kernel.shape, (6, 6), *geometry)
    by_images, by_kernel = np.zeros_like(images), np.zeros(kernel.size + 1)
    adjoint = np.zeros((len(images), len(matrix)))
    for number, (image, code) in enumerate(zip(images, codes)):
        support = np.flatnonzero(code)
        part = matrix[support]
        right = weights[number].ravel()[support]
        solution = np.linalg.solve(part @ part.T, right)
        adjoint[number, support] = solution
        at_images = part.T @ solution
        by_images[number] = at_images.reshape(image.shape)
        residual = image.ravel() - part.T @ code.ravel()[support]
        by_matrix = np.outer(adjoint[number], residual)
        by_matrix -= np.outer(code.ravel(), at_images)
        np.add.at(by_kernel, index, by_matrix)
    signs = -adjoint.reshape(codes.shape) * np.sign(codes)
    shape = (1,) * (4 - np.ndim(sparsity)) + np.shape(sparsity)
    axes = tuple(axis for axis in range(4) if shape[axis] == 1)
    by_sparsity = np.sum(signs, axes).reshape(np.shape(sparsity))
    return by_images, by_kernel[1:].reshape(kernel.shape), by_sparsity


@pytest.mark.parametrize(
    "sparsity, nonnegative, kernel_size, strides, padding",
    [
        ("number", False, 3, 1, "same"),
        ("per filter", True, 4, 2, "same"),
        ("per example", False, 3, 2, "valid"),
    ],
)
def test_gradients_are_those_of_the_optimality_conditions(
    sparsity, nonnegative, kernel_size, strides, padding
):
    images, kernel, step_size = problem(kernel_size, strides, padding)
    point = [images, kernel, SPARSITIES[sparsity]]
    codes, weights, gradients = codes_and_gradients(
        point,
        step_size,
        nonnegative=nonnegative,
        strides=strides,
        padding=padding,
        iterations=2000,
        tolerance=1e-13,
    )
    assert 0.1 < np.mean(codes != 0) < 0.9
    expected = exact_gradients(codes, weights, point, strides, padding)
    for gradient, reference in zip(gradients, expected):
        assert gradient.shape == np.shape(reference)
        error = np.linalg.norm(gradient - reference)
        assert error < 1e-7 * np.linalg.norm(reference)


def test_black_images_have_a_gradient_where_there_is_no_sparsity():
    """Where `λ = 0`, the codes are those of the pseudo-inverse."""
    images, kernel, step_size = problem(3, 2, "same")
    black = tf.zeros_like(images)
    point = [black, kernel, np.float64(0)]
    codes, weights, gradients = codes_and_gradients(point, step_size, strides=2)
    assert not np.any(codes)
    matrix, _ = references.analysis_matrix(kernel, (6, 6), 2, "same")
    inverse = np.linalg.pinv(matrix @ matrix.T, rcond=1e-10)
    expected = weights.reshape(2, -1) @ inverse @ matrix
    np.testing.assert_allclose(
        gradients[0].reshape(2, -1), expected, rtol=0, atol=1e-6
    )


def test_no_iteration_is_kept_for_the_gradient():
    images, kernel, step_size = problem()

    def operations(iterations):
        @tf.function
        def run(images):
            with tf.GradientTape() as tape:
                tape.watch(images)
                codes = ops.solve_sparse_code(
                    images, kernel, 0.2, step_size, iterations=iterations
                )
            return tape.gradient(codes, images)

        definition = run.get_concrete_function(images).graph.as_graph_def()
        functions = definition.library.function
        nodes = [*definition.node, *(n for f in functions for n in f.node_def)]
        return [node.op for node in nodes]

    few, many = operations(2), operations(500)
    assert len(few) == len(many)
    # A loop that keeps all of them for its gradient pushes them onto lists.
    assert any("While" in name for name in many)
    assert not any("TensorList" in name for name in many)


def test_every_example_is_solved():
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(3, 6, 6))
    matrices = roots @ np.swapaxes(roots, 1, 2) + 0.1 * np.eye(6)
    right = rng.normal(size=(3, 6))
    # No example is done because another one is.
    right *= [[1], [1e-9], [0]]

    def operator(values):
        flat = tf.reshape(values, (3, 6, 1))
        return tf.reshape(matrices @ flat, (3, 1, 2, 3))

    result = conjugate_residuals(
        operator, tf.constant(right.reshape(3, 1, 2, 3)), 50
    )
    expected = np.linalg.solve(matrices, right[..., None])[..., 0]
    np.testing.assert_allclose(
        np.reshape(result, (3, 6)), expected, rtol=1e-9, atol=1e-30
    )
    assert not np.any(result[2])


def test_gradients_of_dependent_atoms_are_bounded():
    """Every atom is there twice, and all codes are active."""
    images, kernel, step_size = problem()
    kernel = np.concatenate([kernel, kernel], -1)
    *_, gradients = codes_and_gradients(
        [images, kernel, np.float64(1e-3)],
        step_size / 2,
        iterations=300,
        tolerance=1e-3,
    )
    for gradient in gradients[:2]:
        assert np.linalg.norm(gradient) < 1e4


def test_the_gradient_has_the_gradient_of_its_own():
    """Of `‖z‖²` by `λ`, twice, against differences of the first."""
    images, kernel, step_size = map(tf.convert_to_tensor, problem(4, 2))

    @tf.function
    def first(sparsity):
        with tf.GradientTape() as tape:
            tape.watch(sparsity)
            codes = ops.solve_sparse_code(
                *(images, kernel, sparsity, step_size),
                strides=2,
                iterations=1000,
                tolerance=1e-14,
            )
            value = tf.reduce_sum(codes**2)
        return tape.gradient(value, sparsity)

    @tf.function
    def second(sparsity):
        with tf.GradientTape() as tape:
            tape.watch(sparsity)
            once = first(sparsity)
        return tape.gradient(once, sparsity)

    at = tf.constant(0.1, "float64")
    difference = (first(at + 1e-5) - first(at - 1e-5)) / 2e-5
    np.testing.assert_allclose(second(at), difference, rtol=1e-4)


@pytest.mark.parametrize("first", [1.0, np.nan])
def test_a_gradient_that_is_no_number_does_not_become_0(first):
    """Beside an example that has one, and where none has."""
    images, kernel, step_size = problem()
    weights = np.array([first, np.nan]).reshape(2, 1, 1, 1)
    images, kernel = tf.constant(images), tf.constant(kernel)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch((images, kernel))
        codes = ops.solve_sparse_code(
            images, kernel, 0.1, step_size, iterations=5
        )
        value = tf.reduce_sum(weights * codes)
    by_images = tape.gradient(value, images)
    assert np.any(by_images[0])
    assert np.all(np.isnan(by_images[0]) == np.isnan(first))
    assert np.all(np.isnan(by_images[1]))
    assert np.any(np.isnan(tape.gradient(value, kernel)))
