import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_csc import ops
from keras_csc.ops.program import soft_threshold
from keras_csc.ops.tensors import to_sphere
from tests.helpers import references

SPARSITIES = {
    "number": 0.3,
    "none": 0.0,
    "per filter": np.array([0.1, 0.2, 0.4, 0.9]),
    "per example": np.array([0.1, 0.7]).reshape(2, 1, 1, 1),
}


def dual_value(point, images, kernel, sparsity, nonnegative, geometry):
    """`½‖x‖² - ½‖x - θ‖²`, where `|Aᵀθ| ≤ λ`; else `-∞`."""
    slope = references.analyze(point, kernel, *geometry)
    slope = slope if nonnegative else np.abs(slope)
    assert np.all(slope <= sparsity + 1e-12)
    axes = (1, 2, 3)
    rest = np.sum((images - point) ** 2, axes)
    return 0.5 * np.sum(images**2, axes) - 0.5 * rest


@settings(max_examples=20)
@given(
    st.integers(0, 10**6),
    st.sampled_from(sorted(SPARSITIES)),
    st.booleans(),
    st.sampled_from([(1, "same"), (2, "same"), (2, "valid")]),
)
def test_gap_is_the_primal_less_the_dual_value(
    seed, sparsity, nonnegative, geometry
):
    rng = np.random.default_rng(seed)
    kernel, images = (
        rng.normal(size=(3, 3, 2, 4)),
        rng.normal(size=(2, 6, 5, 2)),
    )
    size = references.analyze(images, kernel, *geometry).shape
    codes = rng.normal(size=size) * (rng.random(size) < 0.4)
    codes = np.abs(codes) if nonnegative else codes
    weights = np.broadcast_to(SPARSITIES[sparsity], codes.shape)
    primal = references.program_value(images, codes, kernel, weights, *geometry)
    residual = images - references.synthesize(
        codes, kernel, images.shape[1:3], *geometry
    )
    slope = references.analyze(residual, kernel, *geometry)
    slope = slope if nonnegative else np.abs(slope)
    ratio = np.divide(weights, slope, out=np.ones(codes.shape), where=slope > 0)
    scale = np.minimum(np.min(ratio, (1, 2, 3), keepdims=True), 1)
    dual = dual_value(
        scale * residual, images, kernel, weights, nonnegative, geometry
    )
    program = ops.SparseCodingProgram(
        *(tf.constant(images), tf.constant(kernel), SPARSITIES[sparsity]),
        nonnegative,
        *geometry,
    )
    codes = tf.constant(codes)
    rest = program.residual(codes)
    np.testing.assert_allclose(program.value(codes, rest), primal, rtol=1e-12)
    gap = program.gap(codes, rest, program.analysis(rest))
    np.testing.assert_allclose(gap, primal - dual, rtol=1e-10)


@pytest.mark.parametrize("nonnegative", [False, True])
def test_soft_threshold_minimises_its_objective(nonnegative):
    values = np.linspace(-2, 2, 41)
    candidates = np.linspace(0 if nonnegative else -3, 3, 6001)
    cost = 0.4 * np.abs(candidates) + 0.5 * (candidates - values[:, None]) ** 2
    result = soft_threshold(values, 0.4, nonnegative)
    best = candidates[np.argmin(cost, axis=1)]
    np.testing.assert_allclose(result, best, rtol=0, atol=1.1e-3)
    below = np.array([-0.4, 0.0, 0.2, 0.4, np.nan])
    np.testing.assert_array_equal(
        soft_threshold(below, 0.4, nonnegative), [0, 0, 0, 0, np.nan]
    )


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32"])
def test_rows_are_divided_by_their_norm(dtype):
    """A row of zeros stays, and has a gradient."""
    with tf.GradientTape() as tape:
        rows = tf.constant([[0, 0], [3, 4], [-3000, 4000]], dtype)
        tape.watch(rows)
        result = to_sphere(rows)
    assert result.dtype == ("float32" if dtype == "int32" else dtype)
    expected = [[0, 0], [0.6, 0.8], [-0.6, 0.8]]
    np.testing.assert_allclose(result, expected, rtol=1e-3)
    if dtype in ("float32", "float64"):
        assert np.isfinite(tape.gradient(result, rows)).all()
