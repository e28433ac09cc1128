"""Sparse codes of images: solvers of the convex program."""

import keras
from keras import ops

from keras_csc.ops.convolution import check_as_many
from keras_csc.ops.convolution import check_channels
from keras_csc.ops.convolution import check_code_size
from keras_csc.ops.dispatch import forms
from keras_csc.ops.implicit_gradient import implicit_gradient
from keras_csc.ops.normal_operator import normal_operator
from keras_csc.ops.precision import as_dtype_of
from keras_csc.ops.precision import number_or_dtype_of
from keras_csc.ops.program import AXES
from keras_csc.ops.program import SparseCodingProgram
from keras_csc.ops.program import precise_program
from keras_csc.ops.program import proximal_map
from keras_csc.ops.proximal_gradient import ProximalGradient
from keras_csc.ops.proximal_gradient import extrapolation
from keras_csc.validation import check_at_least
from keras_csc.validation import check_choice
from keras_csc.validation import check_integer

ALGORITHMS = ("fista", "ista")


def sparse_code(
    images,
    kernel,
    sparsity,
    step_size,
    ridge=0.0,
    nonnegative=False,
    strides=1,
    padding="same",
    iterations=2,
    algorithm="fista",
):
    """Runs ISTA or FISTA on the convolutional sparse coding program.

    `z* = argmin_z  λ‖z‖₁ + (μ/2)‖z‖₂² + ½‖x - A z‖₂²`, optionally `z ≥ 0`,
    by `z ← prox(y + η Aᵀ(x - A y))` from `z = 0`. ISTA takes `y = z`; FISTA
    takes the extrapolated point `y = z + ((t' - 1)/t)(z - z')`, and the
    gradient at it. Their first two steps are the same. Its gradient is that
    of these iterations, with respect to `x`, `W`, `λ` and `μ`; the step size
    is held constant. To solve to convergence, see `solve_sparse_code`.

    Args:
        images: tensor `(batch, height, width, channels)`.
        kernel: tensor `(k, k, channels, filters)`, one atom per filter.
        sparsity: `λ ≥ 0`, a number or a tensor that broadcasts to the codes:
            `(filters,)` per filter, `(batch, 1, 1, 1)` per example.
        step_size: `0 < η ≤ 1/λmax(AᵀA)`, number or scalar tensor.
        ridge: `μ ≥ 0`, a number or a tensor that broadcasts to the codes.
        nonnegative: bool, whether codes are constrained to `z ≥ 0`.
        strides: int.
        padding: `"same"` or `"valid"`.
        iterations: int, at least 1.
        algorithm: `"fista"` or `"ista"`.

    Returns:
        Codes `(batch, code_height, code_width, filters)`.

    Raises:
        ValueError: for another `algorithm`, fewer iterations, or images with
            other channels than the atoms.

    Reference:
        Beck & Teboulle, A fast iterative shrinkage-thresholding algorithm,
        SIAM J. Imaging Sciences 2009, section 4.
    """
    check_choice(ALGORITHMS, algorithm=algorithm)
    check_integer(1, iterations=iterations)
    check_channels(images.shape, kernel.shape)
    program = SparseCodingProgram(
        images,
        ops.convert_to_tensor(kernel),
        as_dtype_of(sparsity, images),
        number_or_dtype_of(ridge, images),
        nonnegative,
        strides,
        padding,
    )
    step_size = ops.stop_gradient(as_dtype_of(step_size, images))
    factors = program.proximal_factors(step_size)
    # The step size is folded into the kernels, the smaller arrays.
    target = step_size * program.kernel
    target = forms().analysis(images, target, strides, padding)
    normal = normal_operator(
        program.kernel,
        ops.shape(images)[1:3],
        strides,
        padding,
        step_size,
    )
    codes = previous = proximal_map(target, *factors, nonnegative)
    for momentum in extrapolations(iterations, algorithm):
        point = codes
        if momentum:
            point = extrapolation(codes, previous, momentum)
        values = point - normal(point) + target
        previous, codes = codes, proximal_map(values, *factors, nonnegative)
    return codes


def solve_sparse_code(
    images,
    kernel,
    sparsity,
    step_size,
    ridge=0.0,
    nonnegative=False,
    strides=1,
    padding="same",
    iterations=1000,
    tolerance=1e-6,
    algorithm="fista",
    restart=True,
    line_search=False,
    initial_codes=None,
    statistics=False,
    measurement=None,
):
    """Solves the convolutional sparse coding program to a tolerance.

    `z* = argmin_z  λ‖z‖₁ + (μ/2)‖z‖₂² + ½‖x - A z‖₂²`, optionally `z ≥ 0`,
    by the iterations of `sparse_code`, with `line_search` also by longer steps.
    An example is done, and its codes no longer move, when its
    `duality_gap` is at most `tolerance` times its objective, which is looked
    at before the first and after every tenth iteration: it does not matter
    what else is in the batch. The gradient is implicit (see
    `implicit_gradient`), with at most `iterations` steps of conjugate
    residuals: its memory does not grow with the iterations, and it is exact
    at the solution. No gradient flows to the step size, the initial codes and
    what a measurement is made of.
    Half precision is solved in float32.

    With a `measurement` `B`, the program is that of `½‖x - B A z‖₂²`: images
    are what was measured, as with pixels missing or blurred.

    Args:
        images: tensor `(batch, height, width, channels)`.
        kernel: tensor `(k, k, channels, filters)`, one atom per filter.
        sparsity: `λ ≥ 0`, a number or a tensor that broadcasts to the codes:
            `(filters,)` per filter, `(batch, 1, 1, 1)` per example.
        step_size: `0 < η ≤ 1/λmax(AᵀA)`, number or scalar tensor;
            `1/spectral_bound(kernel, strides)` is safe for every image size.
        ridge: `μ ≥ 0`, a number or a tensor that broadcasts to the codes.
        nonnegative: bool, whether codes are constrained to `z ≥ 0`.
        strides: int.
        padding: `"same"` or `"valid"`.
        iterations: int, at least 1, the most there will be.
        tolerance: relative duality gap, or `None` for all the iterations.
            What float32 reaches is about `1e-5`, float64 `1e-13`.
        algorithm: `"fista"` or `"ista"`.
        restart: bool, whether FISTA begins anew, for an example whose step
            goes against its momentum.
        line_search: bool, whether steps may be longer than `step_size`. They
            grow by 5 % an iteration, and are halved, but not below
            `step_size`, where `η ‖A(z - y)‖² > ‖z - y‖²`. Such an iteration
            leaves the codes as they were.
        initial_codes: tensor of the shape of the codes, by default 0. If
            `nonnegative`, their positive part is what it begins with.
        statistics: bool, whether to return the statistics of the iterations,
            which takes one more analysis for each.
        measurement: linear operator `B` as `Measurement` is, or `None`. The
            step size is then at most `1/(λmax(AᵀA) ‖B‖²)`.

    Returns:
        Codes `(batch, code_height, code_width, filters)`, of the images' type
        if it is a float's, and NaN where an image, an atom, `λ`, `μ` or the
        measurement is not finite; or with
        `statistics` `(codes, IterationStatistics)`: a namedtuple of tensors
        `(iterations, batch)`, `objective`, `data_fidelity`, `l1_norm`,
        `duality_gap` and `step`, NaN for iterations that were not needed.

    Raises:
        ValueError: for another `algorithm` or `padding`, fewer
            iterations, a tolerance that is negative or not finite, images with
            other channels than the atoms, or initial codes of another shape.

    References:
        Beck & Teboulle, A fast iterative shrinkage-thresholding algorithm,
        SIAM J. Imaging Sciences 2009, section 4; O'Donoghue & Candès,
        Adaptive restart for accelerated gradient schemes, Foundations of
        Computational Mathematics 2015, section 3.2; Scheinberg, Goldfarb &
        Bai, Fast first-order methods for composite convex optimization with
        backtracking, Foundations of Computational Mathematics 2014, for
        FISTA with steps that grow.

    Example:

    ```python
    codes, statistics = keras_csc.ops.solve_sparse_code(
        images, kernel, 0.1, step_size, statistics=True
    )
    plt.semilogy(statistics.duality_gap / statistics.objective)
    ```
    plots a curve for every example, which ends where it was solved.
    """
    check_choice(ALGORITHMS, algorithm=algorithm)
    check_choice(("same", "valid"), padding=padding)
    check_integer(1, iterations=iterations)
    if isinstance(tolerance, (int, float)):
        check_at_least(0, tolerance=tolerance)
    dtype = keras.backend.standardize_dtype(images.dtype)
    program = precise_program(
        images,
        kernel,
        sparsity,
        ridge,
        nonnegative,
        strides,
        padding,
        measurement,
    )
    images = program.images
    if initial_codes is not None:
        check_code_size(
            initial_codes.shape,
            kernel.shape,
            images.shape[1:3],
            strides,
            padding,
        )
        check_as_many(initial_codes.shape, images.shape)
        initial_codes = as_dtype_of(initial_codes, images)
        initial_codes = ops.stop_gradient(initial_codes)
        if nonnegative:
            initial_codes = ops.relu(initial_codes)
    codes, record = ProximalGradient(
        _without_gradient(program),
        ops.stop_gradient(as_dtype_of(step_size, images)),
        iterations,
        tolerance,
        algorithm,
        restart,
        line_search,
        statistics,
    ).run(initial_codes)
    codes = implicit_gradient(codes, program, iterations)
    # No gap of what is not finite is above anything: it would be done.
    total = ops.sum(images, AXES, keepdims=True) + ops.sum(program.kernel)
    total = total + program.sparsity + program.ridge
    if measurement is not None:
        seen = program.measurement.forward(images)
        total = total + ops.sum(seen, AXES, keepdims=True)
    codes = ops.where(ops.isfinite(total), codes, float("nan"))
    if keras.backend.is_float_dtype(dtype):
        codes = ops.cast(codes, dtype)
    return (codes, record) if statistics else codes


def extrapolations(iterations, algorithm):
    """Factors of `z - z'` at the start of every iteration but the first."""
    if algorithm == "ista":
        return [0.0] * (iterations - 1)
    factors, last = [], 1.0
    for _ in range(iterations - 1):
        following = (1 + (1 + 4 * last**2) ** 0.5) / 2
        factors.append((last - 1) / following)
        last = following
    return factors


def _without_gradient(program):
    """The program, with constants for its tensors."""
    if not isinstance(program.ridge, (int, float)):
        program = program._replace(ridge=ops.stop_gradient(program.ridge))
    return program._replace(
        images=ops.stop_gradient(program.images),
        kernel=ops.stop_gradient(program.kernel),
        sparsity=ops.stop_gradient(program.sparsity),
    )
