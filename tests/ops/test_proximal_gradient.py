import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_csc import ops
from tests.helpers import references
from tests.helpers.references import problem

SPARSITIES = {
    "number": np.float64(0.3),
    "per filter": np.array([0.1, 0.2, 0.4, 0.9]),
    "per example": np.array([0.1, 0.7]).reshape(2, 1, 1, 1),
}
# Traced once for all tests with the same shapes and numbers of iterations.
run = tf.function(ops.solve_sparse_code)


def solve(*inputs, **arguments):
    """The solver, compiled."""
    return run(*inputs, **arguments).numpy()


def check_optimality(program, codes):
    """The conditions of Karush, Kuhn and Tucker."""
    size, at = program.images.shape[1:3], (program.strides, program.padding)
    made = references.synthesize(codes, program.kernel, size, *at)
    slope = references.analyze(program.images - made, program.kernel, *at)
    weights = np.broadcast_to(program.sparsity, codes.shape)
    active = codes != 0
    assert 0.05 < np.mean(active) < 0.95
    np.testing.assert_allclose(
        slope[active], (weights * np.sign(codes))[active], atol=1e-5
    )
    rest = slope if program.nonnegative else np.abs(slope)
    assert np.all((rest <= weights + 1e-5)[~active])
    assert not program.nonnegative or np.all(codes >= 0)


@pytest.mark.parametrize(
    "sparsity, nonnegative, strides, padding",
    [
        ("number", False, 1, "same"),
        ("per filter", True, 2, "same"),
        ("per example", False, 2, "valid"),
    ],
)
def test_converged_codes_are_optimal(sparsity, nonnegative, strides, padding):
    images, kernel, step_size = problem(2, strides=strides, padding=padding)
    program = ops.SparseCodingProgram(
        images, kernel, SPARSITIES[sparsity], nonnegative, strides, padding
    )
    codes = solve(
        *(*program[:3], step_size, *program[3:6]),
        iterations=3000,
        tolerance=1e-12,
    )
    rest = program.residual(codes)
    gap = program.gap(codes, rest, program.analysis(rest))
    assert np.all(gap < 1e-10 * program.value(codes, rest))
    check_optimality(program, codes)


def test_every_step_is_that_of_a_plain_loop():
    """As long as none goes against its momentum."""
    images, kernel, step_size = problem()
    inputs = images, kernel, SPARSITIES["per filter"], step_size
    for iterations in range(1, 6):
        np.testing.assert_allclose(
            solve(*inputs, iterations=iterations, tolerance=None),
            references.solve_sparse_code(*inputs, iterations=iterations),
            rtol=0,
            atol=1e-12,
        )


def test_restart_is_faster():
    """Of 400 iterations, how far is each above the minimum?"""
    images, kernel, _ = problem(1)
    kernel = kernel + 0.2
    kernel /= np.sqrt(np.sum(kernel**2, axis=(0, 1, 2)))
    largest = references.largest_eigenvalue(kernel, (6, 7), 1, "same")
    inputs = images, kernel, 0.1, 1 / largest
    codes = [
        *(solve(*inputs, iterations=n, tolerance=None) for n in (3000, 400)),
        references.solve_sparse_code(*inputs, iterations=400),
    ]
    least, restarted, plain = (
        references.program_value(images, each, kernel, 0.1, 1, "same")
        for each in codes
    )
    assert np.all(restarted - least < 0.2 * (plain - least))


def test_examples_stop_alone_and_then_stand_still():
    images, kernel, step_size = problem()
    images[1] *= 0.05
    both, later = (
        solve(images, kernel, 0.1, step_size, iterations=n, tolerance=1e-4)
        for n in (450, 460)
    )
    np.testing.assert_array_equal(both, later)
    for number in range(2):
        alone = solve(
            *(images[number : number + 1], kernel, 0.1, step_size),
            iterations=450,
            tolerance=1e-4,
        )
        np.testing.assert_allclose(alone[0], both[number], atol=1e-13)
    program = ops.SparseCodingProgram(images, kernel, 0.1)
    rest = program.residual(both)
    gap = program.gap(both, rest, program.analysis(rest))
    relative = gap / program.value(both, rest)
    assert np.all(relative <= 1e-4) and np.all(relative > 1e-9)


def test_nothing_is_the_code_of_nothing():
    images, kernel, step_size = problem()
    assert not np.any(solve(0 * images, kernel, 0.1, step_size))
    assert not np.any(solve(images, 0 * kernel, 0.1, step_size))


def test_images_of_unknown_size():
    images, kernel, step_size = problem()

    @tf.function(
        input_signature=[tf.TensorSpec((None, None, None, 2), "float64")]
    )
    def run(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            codes = ops.solve_sparse_code(
                images, kernel, 0.2, step_size, iterations=30
            )
        assert tape.gradient(codes, images) is None
        return codes

    codes = run(images)
    expected = solve(images, kernel, 0.2, step_size, iterations=30)
    np.testing.assert_allclose(codes, expected, atol=1e-12)


@pytest.mark.parametrize(
    "dtype, expected", [("bfloat16", "bfloat16"), ("uint8", "float32")]
)
def test_other_types_are_solved_in_float32(dtype, expected):
    images, kernel, step_size = problem()
    images = tf.cast(9 * np.abs(images), dtype)
    kernel = tf.cast(kernel, expected)
    arguments = {"tolerance": 1e-4, "iterations": 200}
    codes = solve(images, kernel, 0.2, step_size, **arguments)
    assert keras.backend.standardize_dtype(codes.dtype) == expected
    images, kernel = (tf.cast(v, "float32") for v in (images, kernel))
    exact = solve(images, kernel, 0.2, step_size, **arguments)
    np.testing.assert_array_equal(codes, tf.cast(exact, expected))
    assert np.any(exact % 1)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"tolerance": np.nan}, "`tolerance` must be"),
        ({"tolerance": -1.0}, "`tolerance` must be"),
        ({"padding": "SAME"}, "`padding` must be"),
        ({"sparsity": np.nan}, "`sparsity` must be"),
        ({"step_size": -1.0}, "`step_size` must be"),
    ],
)
def test_what_is_refused(arguments, words):
    images, kernel, step_size = problem()
    arguments = {"sparsity": 0.1, "step_size": step_size, **arguments}
    with pytest.raises(ValueError, match=words):
        ops.solve_sparse_code(images, kernel, **arguments)
    if not {"tolerance", "padding"} & set(arguments):
        with pytest.raises(ValueError, match=words):
            ops.sparse_code(images, kernel, **arguments)


@pytest.mark.parametrize("where", ["images", "kernel", "sparsity"])
def test_what_is_not_a_number_has_no_codes(where):
    """Of an image, only those of that image."""
    images, kernel, step_size = problem()
    given = {"images": images, "kernel": kernel, "sparsity": np.array(0.1)}
    spoilt = given[where].copy()
    spoilt[(1,) * spoilt.ndim] = np.inf if where == "images" else np.nan
    given[where] = tf.constant(spoilt)
    codes = solve(step_size=step_size, iterations=5, **given)
    missing = np.all(np.isnan(codes), (1, 2, 3))
    assert missing[1]
    assert missing[0] == np.any(np.isnan(codes[0]))
    assert missing[0] == (where != "images")
