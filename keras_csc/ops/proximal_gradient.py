"""Sparse codes by iterations that go on until they have converged."""

import keras
from keras import ops

from keras_csc.ops.program import AXES
from keras_csc.ops.program import check_penalty
from keras_csc.ops.program import precise_program
from keras_csc.ops.program import soft_threshold
from keras_csc.ops.tensors import as_dtype_of
from keras_csc.validation import check_choice
from keras_csc.validation import check_integer
from keras_csc.validation import check_number

# The duality gap takes a convolution of its own. So it is computed after every
# so many iterations only.
PERIOD = 10


def solve_sparse_code(
    images,
    kernel,
    sparsity,
    step_size,
    nonnegative=False,
    strides=1,
    padding="same",
    iterations=1000,
    tolerance=1e-6,
    relative=False,
):
    """Solves the convolutional sparse coding program to a tolerance.

    `z* = argmin_z  λ‖z‖₁ + ½‖x - A z‖₂²`, optionally `z ≥ 0`

    The iterations are as in `sparse_code`, but momentum begins anew for an
    example whose step goes against it. An example is done, and its codes no
    longer move, when its duality gap (`SparseCodingProgram.gap`) is at most
    `tolerance` times its objective. The gap is computed before the first and
    after every tenth iteration. An example does not depend on the others of
    its batch. Half precision is solved in float32. No gradient flows through
    the solution: train through `sparse_code`.

    Args:
        images, kernel, sparsity, nonnegative, strides, padding: as in
            `sparse_code`.
        step_size: `0 < η ≤ 1/λmax(AᵀA)`, number or scalar tensor;
            `1/frame_bound(kernel, strides)` is safe for every image size.
        iterations: int, at least 1, the most there will be.
        tolerance: relative duality gap, or `None` for all the iterations.
            What float32 reaches is about `1e-5`, float64 `1e-13`.
        relative: as in `sparse_code`.

    Returns:
        Codes `(batch, code_height, code_width, filters)`, in the images' dtype
        if it is a float type. They are NaN where an image, an atom or `λ` is
        not finite.

    Raises:
        ValueError: for another `padding`, fewer iterations, a tolerance, `λ` or
            `η` that is negative or not finite, or images with other channels
            than the atoms.

    References:
        - Beck & Teboulle, A fast iterative shrinkage-thresholding algorithm,
          SIAM J. Imaging Sciences 2009, section 4.
        - O'Donoghue & Candès, Adaptive restart for accelerated gradient
          schemes, Foundations of Computational Mathematics 2015, section 3.2.
    """
    check_choice(("same", "valid"), padding=padding)
    check_integer(1, iterations=iterations)
    check_penalty(sparsity, step_size)
    if isinstance(tolerance, (int, float)):
        check_number("[0, inf)", tolerance=tolerance)
    dtype = keras.backend.standardize_dtype(images.dtype)
    program = precise_program(
        images,
        kernel,
        sparsity,
        nonnegative,
        strides,
        padding,
        relative=relative,
    )
    program = program._replace(
        **{
            name: ops.stop_gradient(getattr(program, name))
            for name in ("images", "kernel", "sparsity")
        }
    )
    step_size = ops.stop_gradient(as_dtype_of(step_size, program.images))
    codes = _solution(program, step_size, tolerance, iterations)
    # No gap that is NaN is above the tolerance: the loop takes it for solved.
    total = ops.sum(program.images, AXES, keepdims=True)
    total = total + ops.sum(program.kernel) + program.sparsity
    codes = ops.where(ops.isfinite(total), codes, float("nan"))
    if keras.backend.is_float_dtype(dtype):
        codes = ops.cast(codes, dtype)
    return codes


def _solution(program, step_size, tolerance, iterations):
    """FISTA on one batch; see `solve_sparse_code`.

    An iteration takes one synthesis, for the residual at the codes `z`, and
    one analysis, for the slope at the next point `y`. The residual at the
    point is extrapolated like the point, since it is affine in the codes.
    """

    def unsolved(codes, residual, slope):
        gap = program.gap(codes, residual, slope)
        gap = gap > tolerance * program.value(codes, residual)
        return gap[:, None, None, None]

    def advance(
        index, codes, residual, point, point_residual, slope, t, active
    ):
        trial = soft_threshold(
            point + step_size * slope,
            step_size * program.sparsity,
            program.nonnegative,
        )
        trial_residual = program.residual(trial)

        def moved(value, old):
            return ops.where(active, value, old)

        following = (1 + ops.sqrt(1 + 4 * ops.square(t))) / 2
        change = trial - codes
        turn = ops.sum((trial - point) * change, AXES, keepdims=True)
        uphill = turn < 0
        momentum = ops.where(uphill, 0, (t - 1) / following)
        old, new = (codes, point), (trial, trial + momentum * change)
        # A selection of large arrays is slow: mostly there is nothing to keep.
        codes, point = ops.cond(
            ops.all(active),
            lambda: new,
            lambda: tuple(map(moved, new, old)),
        )
        point_residual = moved(
            trial_residual + momentum * (trial_residual - residual),
            point_residual,
        )
        residual = moved(trial_residual, residual)
        t = moved(ops.where(uphill, 1, following), t)
        slope = program.analysis(point_residual)
        if tolerance is not None:
            active = ops.cond(
                (index + 1) % PERIOD == 0,
                lambda: ops.logical_and(
                    active,
                    unsolved(codes, residual, program.analysis(residual)),
                ),
                lambda: active,
            )
        return (
            *(index + 1, codes, residual, point, point_residual),
            *(slope, t, active),
        )

    residual = program.images
    slope = program.analysis(residual)
    codes = ops.zeros_like(slope)
    one = ops.ones_like(codes[:, :1, :1, :1])
    active = one > 0
    if tolerance is not None:
        active = unsolved(codes, residual, slope)
    index = ops.convert_to_tensor(0, "int32")
    return ops.while_loop(
        lambda *state: ops.any(state[-1]),
        advance,
        (index, codes, residual, codes, residual, slope, one, active),
        maximum_iterations=iterations,
    )[1]
