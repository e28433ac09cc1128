import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_csc import ops
from keras_csc.ops.tensorflow import fusion
from tests.helpers import references
from tests.helpers.references import problem

SPARSITIES = {
    "number": np.float64(0.3),
    "per filter": np.array([0.1, 0.2, 0.4, 0.9]),
    "per example": np.array([0.1, 0.7]).reshape(2, 1, 1, 1),
}
# Every kind of sparsity, and every geometry, with a ridge and without.
PROGRAMS = [
    ("number", 0.2, False, 1, "same"),
    ("per filter", 0.0, True, 2, "same"),
    ("per example", 0.0, False, 2, "valid"),
]
# Traced once for all tests with the same shapes and numbers of iterations.
run = tf.function(ops.solve_sparse_code)


def solve(*inputs, **arguments):
    """The solver, compiled."""
    return keras.tree.map_structure(
        lambda t: t.numpy(), run(*inputs, **arguments)
    )


def iterations_and_values(*inputs, **arguments):
    """Of every example, how many iterations it took, and to which value."""
    _, statistics = solve(*inputs, statistics=True, **arguments)
    values = statistics.objective
    return np.sum(np.isfinite(values), 0), np.nanmin(values, 0)


def check_optimality(images, codes, kernel, sparsity, ridge, nonnegative, *at):
    """The conditions of Karush, Kuhn and Tucker."""
    size = images.shape[1:3]
    residual = images - references.synthesize(codes, kernel, size, *at)
    slope = references.analyze(residual, kernel, *at) - ridge * codes
    weights = np.broadcast_to(sparsity, codes.shape)
    active = codes != 0
    assert 0.05 < np.mean(active) < 0.95
    np.testing.assert_allclose(
        slope[active], (weights * np.sign(codes))[active], atol=1e-5
    )
    rest = slope if nonnegative else np.abs(slope)
    assert np.all((rest <= weights + 1e-5)[~active])
    assert not nonnegative or np.all(codes >= 0)


@pytest.mark.parametrize(
    "sparsity, ridge, nonnegative, strides, padding", PROGRAMS
)
def test_converged_codes_are_optimal(
    sparsity, ridge, nonnegative, strides, padding
):
    images, kernel, step_size = problem(2, strides=strides, padding=padding)
    program = (SPARSITIES[sparsity], ridge, nonnegative, strides, padding)
    codes = solve(
        *(images, kernel, SPARSITIES[sparsity], step_size),
        ridge=ridge,
        nonnegative=nonnegative,
        strides=strides,
        padding=padding,
        iterations=3000,
        tolerance=1e-12,
    )
    gap = ops.duality_gap(images, codes, kernel, *program)
    value = references.program_value(
        images, codes, kernel, program[0], ridge, strides, padding
    )
    assert np.all(gap < 1e-10 * value)
    check_optimality(images, codes, kernel, *program)


@pytest.mark.parametrize("algorithm, ridge", [("ista", 0.25), ("fista", 0.0)])
def test_every_step_is_that_of_a_plain_loop(algorithm, ridge):
    images, kernel, step_size = problem()
    sparsity, axes = SPARSITIES["per filter"], (1, 2, 3)
    arguments = {"ridge": ridge, "algorithm": algorithm}
    codes, statistics = solve(
        *(images, kernel, sparsity, step_size),
        **arguments,
        iterations=8,
        tolerance=None,
        restart=False,
        statistics=True,
    )
    previous = np.zeros_like(codes)
    for row in range(8):
        expected = references.solve_sparse_code(
            images, kernel, sparsity, step_size, iterations=row + 1, **arguments
        )
        value, fidelity = (
            references.program_value(images, expected, kernel, *at, 1, "same")
            for at in ((sparsity, ridge), (0.0, 0.0))
        )
        measured = {
            "objective": value,
            "data_fidelity": fidelity,
            "l1_norm": np.sum(np.abs(expected), axes),
            "duality_gap": ops.duality_gap(
                images, expected, kernel, sparsity, ridge
            ),
            "step": np.sqrt(np.sum((expected - previous) ** 2, axes)),
        }
        assert set(measured) == set(statistics._fields)
        for name, reference in measured.items():
            np.testing.assert_allclose(
                getattr(statistics, name)[row], reference, rtol=1e-10
            )
        previous = expected
    np.testing.assert_allclose(codes, expected, rtol=0, atol=1e-12)


def test_restart_takes_fewer_iterations():
    images, kernel, step_size = problem(1)
    with_restart, without = (
        iterations_and_values(
            *(images, kernel, 0.1, step_size),
            ridge=0.05,
            iterations=800,
            tolerance=1e-10,
            restart=restart,
        )[0]
        for restart in (True, False)
    )
    assert np.all(with_restart < 0.7 * without)


def test_longer_steps_take_fewer_iterations_to_the_same_value():
    images, kernel, _ = problem(1)
    kernel = kernel + 0.2
    kernel /= np.sqrt(np.sum(kernel**2, axis=(0, 1, 2)))
    largest = references.largest_eigenvalue(kernel, (6, 7), 1, "same")
    (longer, value), (short, expected) = (
        iterations_and_values(
            *(images, kernel, SPARSITIES["per example"], 1 / largest),
            ridge=0.1,
            iterations=3000,
            tolerance=1e-9,
            line_search=line_search,
        )
        for line_search in (True, False)
    )
    assert np.all(longer < 0.8 * short)
    np.testing.assert_allclose(value, expected, rtol=2e-9)


def test_steps_that_are_too_long_are_not_taken():
    images, kernel, step_size = problem(5)
    _, statistics = solve(
        *(images, kernel, 0.2, step_size),
        iterations=100,
        tolerance=None,
        algorithm="ista",
        line_search=True,
        statistics=True,
    )
    refused = statistics.step[1:] == 0
    assert 0 < np.mean(refused) < 0.2
    change = np.diff(statistics.objective, axis=0)
    np.testing.assert_array_equal(change == 0, refused)
    assert np.all(change <= 1e-13 * statistics.objective[0])


def is_compiled(function):
    """Whether XLA compiles a part of a concrete function."""
    library = function.graph.as_graph_def().library
    return any(part.attr["_XlaMustCompile"].b for part in library.function)


def test_large_steps_are_fused_within_the_context_only():
    """And are the steps that they fuse."""
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(4, 4, 1, 32)) / 4
    step_size = 1 / ops.spectral_bound(kernel)

    def traced(size):
        images = tf.constant(rng.normal(size=(1, size, size, 1)))
        solve = tf.function(
            lambda images: ops.solve_sparse_code(
                *(images, kernel, 0.3, step_size),
                iterations=25,
                line_search=True,
            )
        )
        return solve.get_concrete_function(images), images

    plain, images = traced(96)
    with fusion():
        fused, _ = traced(96)
        assert not is_compiled(traced(16)[0])
    assert is_compiled(fused) and not is_compiled(plain)
    np.testing.assert_allclose(fused(images), plain(images), atol=1e-9)


def test_examples_stop_alone_and_then_stand_still():
    images, kernel, step_size = problem()
    images[1] *= 0.05
    arguments = {"iterations": 450, "tolerance": 1e-4, "statistics": True}
    both, statistics = solve(images, kernel, 0.1, step_size, **arguments)
    counts = np.sum(np.isfinite(statistics.objective), 0)
    assert 0 < counts[1] < counts[0] < 450
    for number, count in enumerate(counts):
        alone, own = solve(
            images[number : number + 1], kernel, 0.1, step_size, **arguments
        )
        np.testing.assert_allclose(alone[0], both[number], atol=1e-13)
        for ours, both_of in zip(own, statistics):
            column = both_of[:, number]
            np.testing.assert_allclose(ours[:, 0], column, rtol=1e-9)
            assert np.all(np.isnan(column[count:]))
        relative = statistics.duality_gap / statistics.objective
        assert count % 10 == 0 and relative[count - 1, number] <= 1e-4
        assert np.all(relative[9 : count - 10 : 10, number] > 1e-4)


def test_warm_start_at_the_solution_has_nothing_to_do():
    images, kernel, step_size = problem()
    first = solve(images, kernel, 0.2, step_size, tolerance=1e-8)
    again, statistics = solve(
        images,
        kernel,
        0.2,
        step_size,
        tolerance=1.1e-8,
        initial_codes=first,
        statistics=True,
    )
    np.testing.assert_array_equal(again, first)
    assert np.all(np.isnan(statistics.objective))
    near = solve(
        images, kernel, 0.2, step_size, iterations=3, initial_codes=first
    )
    np.testing.assert_allclose(near, first, atol=1e-3)


def test_nothing_is_the_code_of_nothing():
    images, kernel, step_size = problem()
    codes = solve(0 * images, kernel, 0.1, step_size)
    assert not np.any(codes)
    codes = solve(images, 0 * kernel, 0.1, step_size)
    assert not np.any(codes)


def test_images_of_unknown_size():
    images, kernel, step_size = problem()
    arguments = {"iterations": 30, "ridge": 0.1}

    @tf.function(
        input_signature=[tf.TensorSpec((None, None, None, 2), "float64")]
    )
    def run(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            codes = ops.solve_sparse_code(
                images, kernel, 0.2, step_size, **arguments
            )
        return codes, tape.gradient(codes, images)

    codes, gradient = run(images)
    expected = solve(images, kernel, 0.2, step_size, **arguments)
    np.testing.assert_allclose(codes, expected, atol=1e-12)
    assert gradient.shape == images.shape and np.any(gradient)


def test_half_precision_is_solved_in_float32():
    images, kernel, step_size = problem()
    images, kernel = (tf.cast(v, "bfloat16") for v in (images, kernel))
    arguments = {"tolerance": 1e-4, "iterations": 200}
    codes = solve(images, kernel, 0.2, step_size, **arguments)
    assert codes.dtype == "bfloat16"
    images, kernel = (tf.cast(v, "float32") for v in (images, kernel))
    expected = solve(images, kernel, 0.2, step_size, **arguments)
    np.testing.assert_array_equal(codes, tf.cast(expected, "bfloat16"))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_image_that_is_not_finite_has_no_codes(value):
    images, kernel, step_size = problem()
    arguments = {"tolerance": 1e-6}
    expected = solve(images, kernel, 0.3, step_size, **arguments)
    images[1, 2, 3, 0] = value
    codes = solve(images, kernel, 0.3, step_size, **arguments)
    assert np.all(np.isnan(codes[1]))
    np.testing.assert_allclose(codes[0], expected[0], atol=1e-12)


def test_a_warm_start_below_zero_is_none_of_codes_that_are_not():
    images, kernel, step_size = problem()
    arguments = {"iterations": 2000, "tolerance": 1e-10}
    signed = solve(images, kernel, 0.3, step_size, **arguments)
    assert np.min(signed) < -0.5
    arguments |= {"nonnegative": True}
    expected = solve(images, kernel, 0.3, step_size, **arguments)
    codes = solve(
        images, kernel, 0.3, step_size, initial_codes=signed, **arguments
    )
    assert np.min(codes) == 0
    np.testing.assert_allclose(codes, expected, atol=1e-5)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"initial_codes": tf.zeros((3, 6, 7, 4))}, "codes of shape"),
        ({"initial_codes": tf.zeros((2, 6, 7, 5))}, "codes of shape"),
        ({"initial_codes": tf.zeros((2, 5, 7, 4))}, "codes of shape"),
        ({"tolerance": np.nan}, "`tolerance` must be"),
        ({"tolerance": -1.0}, "`tolerance` must be"),
        ({"padding": "SAME"}, "`padding` must be"),
    ],
)
def test_what_is_refused(arguments, words):
    images, kernel, step_size = problem()
    with pytest.raises(ValueError, match=words):
        solve(images, kernel, 0.1, step_size, **arguments)


@pytest.mark.parametrize(
    "where", ["kernel", "sparsity", "ridge", "mask", "blur"]
)
def test_what_is_not_a_number_has_no_codes(where):
    images, kernel, step_size = problem()
    given = {"kernel": kernel, "sparsity": 0.1, "ridge": 0.1}
    part = np.ones(images.shape if where == "mask" else (3, 3))
    part[0, 1] = np.nan
    if where in given:
        given[where] = tf.constant(given[where] + 0 * np.nan, "float64")
    else:
        given["measurement"] = ops.Measurement(**{where: tf.constant(part)})
    codes = solve(images, step_size=step_size, iterations=5, **given)
    missing = np.all(np.isnan(codes), (1, 2, 3))
    assert missing[0] and np.all(missing) == (where != "mask")


def test_codes_of_bytes_are_floats():
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 1), "uint8")
    kernel = np.random.default_rng(1).normal(size=(3, 3, 1, 4))
    kernel = tf.constant(kernel, "float32")
    found, expected = (
        ops.solve_sparse_code(
            tf.constant(images, dtype), kernel, 5.0, 0.01, iterations=5
        )
        for dtype in ("uint8", "float32")
    )
    np.testing.assert_array_equal(found, expected)
    assert np.any(found % 1)
