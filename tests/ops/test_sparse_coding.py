import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from sklearn.linear_model import ElasticNet
from sklearn.linear_model import Lasso

from keras_csc import ops
from tests.helpers import references

SPARSITIES = {
    "number": np.float64(0.3),
    "per filter": np.array([0.0, 0.2, 0.4, 0.9]),
    "per example": np.array([0.1, 0.7]).reshape(2, 1, 1, 1),
}
# With a step a bit below the longest.
problem = functools.partial(references.problem, step=0.95)


@pytest.mark.parametrize("algorithm", ["fista", "ista"])
@pytest.mark.parametrize("sparsity", SPARSITIES)
@pytest.mark.parametrize("ridge", [0.0, 0.25])
@pytest.mark.parametrize("nonnegative", [False, True])
def test_every_step_is_that_of_a_plain_loop(
    algorithm, sparsity, ridge, nonnegative
):
    images, kernel, step_size = problem()
    for iterations in range(1, 11):
        arguments = {
            "ridge": ridge,
            "nonnegative": nonnegative,
            "iterations": iterations,
            "algorithm": algorithm,
        }
        weights = SPARSITIES[sparsity]
        result = ops.sparse_code(
            images, kernel, weights, step_size, **arguments
        )
        expected = references.solve_sparse_code(
            images, kernel, weights, step_size, **arguments
        )
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("strides", [1, 2, 3])
def test_strides_and_padding_are_those_of_a_plain_loop(strides, padding):
    images, kernel, step_size = problem(1, (9, 8), 4, strides, padding)
    arguments = {"strides": strides, "padding": padding, "iterations": 4}
    weight = np.float64(0.2)
    result = ops.sparse_code(images, kernel, weight, step_size, **arguments)
    expected = references.solve_sparse_code(
        images, kernel, weight, step_size, **arguments
    )
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-12)


def test_python_numbers_keep_the_precision_of_the_images():
    images, kernel, step_size = problem()
    result = ops.sparse_code(images, kernel, 0.3, float(step_size))
    expected = references.solve_sparse_code(images, kernel, 0.3, step_size)
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-12)


def test_images_of_unknown_size():
    images, kernel, step_size = problem()

    @tf.function(
        input_signature=[tf.TensorSpec((None, None, None, 2), "float64")]
    )
    def run(images):
        return ops.sparse_code(
            images, kernel, np.float64(0.3), step_size, iterations=3
        )

    expected = references.solve_sparse_code(
        images, kernel, 0.3, step_size, iterations=3
    )
    np.testing.assert_allclose(run(images), expected, atol=1e-12)


@pytest.mark.parametrize("sparsity", SPARSITIES)
def test_objective_is_that_of_the_program(sparsity):
    images, kernel, _ = problem()
    codes = np.random.default_rng(5).normal(size=(2, 6, 7, 4))
    weights = SPARSITIES[sparsity]
    result = ops.lasso_objective(images, codes, kernel, weights, 0.25)
    expected = references.program_value(
        images, codes, kernel, weights, 0.25, 1, "same"
    )
    np.testing.assert_allclose(result, expected, rtol=1e-13)


@settings(max_examples=6)
@given(
    st.integers(0, 1000),
    st.floats(0, 1),
    st.sampled_from([0.0, 0.5]),
    st.booleans(),
)
def test_objective_of_ista_never_rises(seed, sparsity, ridge, nonnegative):
    images, kernel, step_size = problem(seed)
    values = [0.5 * np.sum(images**2, axis=(1, 2, 3))]
    for iterations in range(1, 12):
        codes = ops.sparse_code(
            images,
            kernel,
            np.float64(sparsity),
            step_size,
            ridge,
            nonnegative,
            iterations=iterations,
            algorithm="ista",
        ).numpy()
        values.append(
            references.program_value(
                images, codes, kernel, sparsity, ridge, 1, "same"
            )
        )
    assert np.all(np.diff(values, axis=0) <= 1e-12)


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("strides, ridge", [(1, 0.1), (2, 0.0)])
def test_a_long_run_satisfies_the_optimality_conditions(
    strides, ridge, nonnegative
):
    images, kernel, step_size = problem(2, strides=strides)
    sparsity = 0.3
    codes = ops.sparse_code(
        images,
        kernel,
        np.float64(sparsity),
        step_size,
        ridge,
        nonnegative,
        strides,
        iterations=400,
    ).numpy()
    size = images.shape[1:3]
    residual = images - references.synthesize(
        codes, kernel, size, strides, "same"
    )
    slope = references.analyze(residual, kernel, strides, "same")
    slope = slope - ridge * codes
    active = codes != 0
    assert 0.05 < np.mean(active) < 0.9
    np.testing.assert_allclose(
        slope[active], sparsity * np.sign(codes[active]), atol=1e-5
    )
    bound = slope[~active] if nonnegative else np.abs(slope[~active])
    assert np.all(bound <= sparsity + 1e-5)
    if nonnegative:
        assert np.all(codes >= 0)


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("ridge", [0.0, 0.5])
def test_codes_agree_with_scikit_learn(ridge, nonnegative):
    rng = np.random.default_rng(3)
    kernel = rng.normal(size=(5, 5, 1, 12))
    kernel /= np.sqrt(np.sum(kernel**2, axis=(0, 1, 2)))
    images = rng.normal(size=(3, 5, 5, 1))
    sparsity, n = 0.2, 25
    largest = references.largest_eigenvalue(kernel, (5, 5), 1, "valid")
    codes = ops.sparse_code(
        images,
        kernel,
        np.float64(sparsity),
        1 / largest,
        ridge,
        nonnegative,
        padding="valid",
        iterations=500,
    ).numpy()
    assert codes.shape == (3, 1, 1, 12)
    shared = {"fit_intercept": False, "tol": 1e-14, "max_iter": 100000}
    if ridge:
        solver = ElasticNet(
            alpha=(sparsity + ridge) / n,
            l1_ratio=sparsity / (sparsity + ridge),
            positive=nonnegative,
            **shared,
        )
    else:
        solver = Lasso(alpha=sparsity / n, positive=nonnegative, **shared)
    atoms = kernel.reshape(n, 12)
    for image, code in zip(images, codes):
        expected = solver.fit(atoms, image.ravel()).coef_
        np.testing.assert_allclose(code.ravel(), expected, atol=1e-7)


@pytest.mark.parametrize("iterations", [1, 2, 5])
def test_codes_vanish_once_sparsity_exceeds_the_largest_correlation(
    iterations,
):
    images, kernel, step_size = problem()
    correlations = references.analyze(images, kernel, 1, "same")
    largest = np.max(np.abs(correlations))
    above, below = (
        ops.sparse_code(
            images,
            kernel,
            np.float64(factor * largest),
            step_size,
            iterations=iterations,
        ).numpy()
        for factor in (1 + 1e-9, 0.99)
    )
    assert not np.any(above)
    assert np.count_nonzero(below) > 0


@settings(max_examples=6)
@given(st.integers(0, 1000), st.floats(0.01, 100))
def test_codes_scale_with_images_and_sparsity(seed, factor):
    images, kernel, step_size = problem(seed)
    codes, scaled = (
        ops.sparse_code(
            images * f, kernel, np.float64(0.2 * f), step_size, iterations=6
        ).numpy()
        for f in (1.0, factor)
    )
    assert np.count_nonzero(codes) > 0
    np.testing.assert_allclose(
        scaled, codes * factor, rtol=1e-10, atol=1e-12 * factor
    )


def test_codes_of_a_batch_are_those_of_its_examples():
    images, kernel, step_size = problem()
    both = ops.sparse_code(images, kernel, np.float64(0.2), step_size)
    for image, code in zip(images, both):
        alone = ops.sparse_code(image[None], kernel, np.float64(0.2), step_size)
        np.testing.assert_allclose(alone[0], code, atol=1e-13)


@pytest.mark.parametrize("sparsity", SPARSITIES)
@pytest.mark.parametrize(
    "strides, padding, kernel_size, iterations, algorithm, ridge, nonnegative",
    [
        (1, "same", 3, 1, "fista", 0.0, False),
        (1, "same", 3, 2, "fista", 0.0, False),
        (1, "same", 3, 5, "fista", 0.25, True),
        (1, "valid", 2, 4, "ista", 0.25, False),
        (2, "same", 4, 2, "fista", 0.0, False),
        (2, "same", 4, 4, "fista", 0.25, False),
        (2, "valid", 3, 3, "fista", 0.0, True),
        (3, "same", 2, 3, "ista", 0.0, False),
        (1, "valid", 6, 3, "fista", 0.1, False),
    ],
)
def test_gradients_are_those_of_finite_differences(
    sparsity,
    strides,
    padding,
    kernel_size,
    iterations,
    algorithm,
    ridge,
    nonnegative,
):
    images, kernel, step_size = problem(
        4, (6, 6), kernel_size, strides, padding
    )
    arguments = {
        "ridge": ridge,
        "nonnegative": nonnegative,
        "strides": strides,
        "padding": padding,
        "iterations": iterations,
        "algorithm": algorithm,
    }
    rng = np.random.default_rng(6)
    point = [images, kernel, np.asarray(SPARSITIES[sparsity])]
    tensors = [tf.constant(value) for value in point]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        codes = ops.sparse_code(*tensors, step_size, **arguments)
        weights = rng.normal(size=codes.shape)
        value = tf.reduce_sum(weights * codes)
    gradients = tape.gradient(value, tensors)
    assert 0.1 < np.mean(codes.numpy() != 0)

    def reference(*point):
        codes = references.solve_sparse_code(*point, step_size, **arguments)
        return np.sum(weights * codes)

    for index, gradient in enumerate(gradients):
        assert gradient.shape == point[index].shape
        for _ in range(2):
            direction = rng.normal(size=point[index].shape)

            def along(value):
                return reference(*point[:index], value, *point[index + 1 :])

            expected = references.directional_derivative(
                along, point[index], direction, 1e-7
            )
            np.testing.assert_allclose(
                np.sum(gradient * direction), expected, rtol=1e-5, atol=1e-6
            )


@pytest.mark.parametrize("backend", ["tensorflow", "another"])
@pytest.mark.parametrize("algorithm", ["fista", "ista"])
@pytest.mark.parametrize("ridge", [0.0, 0.25])
@pytest.mark.parametrize(
    "sparsity", [np.float64(0), SPARSITIES["per filter"]], ids=["none", "some"]
)
def test_black_images_have_a_gradient_where_there_is_no_sparsity(
    monkeypatch, sparsity, ridge, algorithm, backend
):
    """With `λ = 0` the codes are a linear map of the images, at 0 as well."""
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    _, kernel, step_size = problem()
    rng = np.random.default_rng(6)
    black, direction = tf.zeros((2, 6, 7, 2), "float64"), rng.normal(size=168)
    direction = 1e-3 * direction.reshape(black.shape)
    arguments = {"ridge": ridge, "iterations": 3, "algorithm": algorithm}
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


@pytest.mark.parametrize(
    "size, kernel_size, strides",
    [
        (8, 4, 2),
        (6, 2, 2),
        (6, 3, 1),
        (4, 4, 4),
        (16, 4, 2),
    ],
)
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


@pytest.mark.parametrize("algorithm", ["fista", "ista"])
@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("shape", [(), (2, 1, 1, 1), (4,)])
def test_ridge_has_a_gradient(shape, nonnegative, algorithm):
    images, kernel, step_size = problem(4)
    ridge = np.random.default_rng(5).uniform(0.1, 0.6, shape)
    arguments = {
        "nonnegative": nonnegative,
        "iterations": 4,
        "algorithm": algorithm,
    }
    tensor = tf.constant(ridge)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        codes = ops.sparse_code(
            images, kernel, 0.2, step_size, tensor, **arguments
        )
        value = 0.5 * tf.reduce_sum(codes**2)
    gradient = tape.gradient(value, tensor)
    assert gradient.shape == shape

    def reference(ridge):
        codes = references.solve_sparse_code(
            images, kernel, 0.2, step_size, ridge, **arguments
        )
        return 0.5 * np.sum(codes**2)

    direction = np.random.default_rng(6).normal(size=shape)
    np.testing.assert_allclose(
        np.sum(gradient * direction),
        references.directional_derivative(reference, ridge, direction),
        rtol=1e-6,
    )
