import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_csc import ops
from keras_csc.ops.program import proximal_map
from tests.helpers import references

SPARSITIES = {
    "number": 0.3,
    "per filter": np.array([0.1, 0.2, 0.4, 0.9]),
    "per example": np.array([0.1, 0.7]).reshape(2, 1, 1, 1),
}


def problem(seed, strides=1, padding="same"):
    rng = np.random.default_rng(seed)
    kernel = rng.normal(size=(3, 3, 2, 4))
    images = rng.normal(size=(2, 6, 5, 2))
    size = references.analyze(images, kernel, strides, padding).shape
    codes = rng.normal(size=size) * (rng.random(size) < 0.4)
    return images, kernel, codes


def dual_value(point, images, kernel, sparsity, ridge, nonnegative, geometry):
    """`½‖x‖² - ½‖x - θ‖² - h*(Aᵀθ)`; `-∞` outside of the domain of `h*`."""
    slope = references.analyze(point, kernel, *geometry)
    slope = slope if nonnegative else np.abs(slope)
    excess = np.maximum(slope - sparsity, 0)
    axes = (1, 2, 3)
    if ridge:
        conjugate = np.sum(excess**2, axes) / (2 * ridge)
    else:
        conjugate = np.where(np.max(excess, axes) > 1e-12, np.inf, 0)
    return (
        0.5 * np.sum(images**2, axes)
        - 0.5 * np.sum((images - point) ** 2, axes)
        - conjugate
    )


@settings(max_examples=20)
@given(
    st.integers(0, 10**6),
    st.sampled_from(sorted(SPARSITIES)),
    st.sampled_from([0.0, 1e-4, 0.5]),
    st.booleans(),
    st.sampled_from([(1, "same"), (2, "same"), (2, "valid")]),
)
def test_gap_is_the_primal_less_the_dual_value(
    seed, sparsity, ridge, nonnegative, geometry
):
    images, kernel, codes = problem(seed, *geometry)
    codes = np.abs(codes) if nonnegative else codes
    sparsity = SPARSITIES[sparsity]
    weights = np.broadcast_to(sparsity, codes.shape)
    primal = references.program_value(
        images, codes, kernel, weights, ridge, *geometry
    )
    residual = images - references.synthesize(
        codes, kernel, images.shape[1:3], *geometry
    )
    slope = references.analyze(residual, kernel, *geometry)
    slope = slope if nonnegative else np.abs(slope)
    ratio = np.divide(weights, slope, out=np.ones(codes.shape), where=slope > 0)
    scale = np.minimum(np.min(ratio, (1, 2, 3), keepdims=True), 1)
    scaled = scale * residual
    duals = [
        dual_value(point, images, kernel, weights, ridge, nonnegative, geometry)
        for point in (scaled, residual)
    ]
    result = ops.duality_gap(
        images, codes, kernel, sparsity, ridge, nonnegative, *geometry
    )
    np.testing.assert_allclose(result, primal - np.max(duals, 0), rtol=1e-10)


def test_ridge_may_be_a_tensor_even_of_zero():
    images, kernel, codes = problem(1)
    for ridge in (0.0, 0.5):
        expected, *others = (
            ops.duality_gap(images, codes, kernel, 0.3, value)
            for value in (ridge, np.array(ridge), np.full((2, 1, 1, 1), ridge))
        )
        for gap in others:
            np.testing.assert_allclose(gap, expected, rtol=1e-13)


def test_weights_of_zero_give_a_finite_gap():
    images, kernel, codes = problem(1)
    weights = np.array([0.0, 0.2, 0.4, 0.9])
    gap = ops.duality_gap(images, codes, kernel, weights)
    value = ops.lasso_objective(images, codes, kernel, weights)
    np.testing.assert_allclose(gap, value, rtol=1e-12)


@pytest.mark.parametrize("ridge, nonnegative", [(0.0, False), (0.7, True)])
def test_proximal_map_minimises_its_objective(ridge, nonnegative):
    program = ops.SparseCodingProgram(None, None, 0.4, ridge, nonnegative)
    step_size, values = 0.6, np.linspace(-2, 2, 41)
    candidates = np.linspace(0 if nonnegative else -3, 3, 6001)
    penalty = 0.4 * np.abs(candidates) + ridge / 2 * candidates**2
    cost = step_size * penalty + 0.5 * (candidates - values[:, None]) ** 2
    factors = program.proximal_factors(step_size)
    assert (factors[1] is None) == (ridge == 0)
    result = proximal_map(values, *factors, nonnegative)
    best = candidates[np.argmin(cost, axis=1)]
    np.testing.assert_allclose(result, best, rtol=0, atol=1.1e-3)
    below = np.array([-0.4, 0.0, 0.2, 0.4, np.nan])
    np.testing.assert_array_equal(
        ops.soft_threshold(below, 0.4, nonnegative), [0, 0, 0, 0, np.nan]
    )


@pytest.mark.parametrize("name", ["lasso_objective", "duality_gap"])
def test_half_precision_is_measured_in_float32(name):
    images, kernel, codes = (tf.cast(v, "bfloat16") for v in problem(3))
    found = getattr(ops, name)(images, codes, kernel, 0.3, 0.1)
    assert found.dtype == "float32"
    exact = (tf.cast(v, "float64").numpy() for v in (images, codes, kernel))
    expected = getattr(ops, name)(*exact, 0.3, 0.1)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
