"""Sparse codes by iterations that go on until they have converged."""

import collections

import keras
from keras import ops

from keras_csc.ops.convolution import check_code_size
from keras_csc.ops.convolution import forms
from keras_csc.ops.implicit_gradient import implicit_gradient
from keras_csc.ops.program import AXES
from keras_csc.ops.program import precise_program
from keras_csc.ops.program import soft_threshold
from keras_csc.ops.tensors import as_dtype_of
from keras_csc.validation import check_at_least
from keras_csc.validation import check_choice
from keras_csc.validation import check_integer

# The duality gap takes a convolution of its own: it is looked at after every
# so many iterations.
PERIOD = 10
# What the step size is multiplied by after every step that was short enough,
# and after one that was too long.
GROWTH, DECAY = 1.05, 0.5


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
    line_search=False,
    initial_codes=None,
    measurement=None,
):
    """Solves the convolutional sparse coding program to a tolerance.

    `z* = argmin_z  λ‖z‖₁ + ½‖x - A z‖₂²`, optionally `z ≥ 0`, by the iterations
    of `sparse_code`, which begin anew for an example whose step goes against
    its momentum, and with `line_search` also by longer steps. An example is
    done, and its codes no longer move, when its duality gap, as of
    `SparseCodingProgram.gap`, is at most `tolerance` times its objective, which
    is looked at before the first and after every tenth iteration: it does not
    matter what else is in the batch. The gradient is implicit (see
    `implicit_gradient`), with at most `iterations` steps of conjugate
    residuals: its memory does not grow with the iterations, and it is exact
    at the solution. No gradient flows to the step size, the initial codes and
    what a measurement is made of. Half precision is solved in float32.

    With a `measurement` `B`, the program is that of `½‖x - B A z‖₂²`: images
    are what was measured, as with pixels missing or blurred.

    Args:
        images, kernel, sparsity, nonnegative, strides, padding: as of
            `sparse_code`.
        step_size: `0 < η ≤ 1/λmax(AᵀA)`, number or scalar tensor;
            `1/spectral_bound(kernel, strides)` is safe for every image size.
        iterations: int, at least 1, the most there will be.
        tolerance: relative duality gap, or `None` for all the iterations.
            What float32 reaches is about `1e-5`, float64 `1e-13`.
        line_search: bool, whether steps may be longer than `step_size`. They
            grow by 5 % an iteration, and are halved, but not below
            `step_size`, where `η ‖A(z - y)‖² > ‖z - y‖²`. Such an iteration
            leaves the codes as they were.
        initial_codes: tensor of the shape of the codes, by default 0. If
            `nonnegative`, their positive part is what it begins with.
        measurement: linear operator `B` as `Measurement` is, or `None`. The
            step size is then at most `1/(λmax(AᵀA) ‖B‖²)`.

    Returns:
        Codes `(batch, code_height, code_width, filters)`, of the images' type
        if it is a float's, and NaN where an image, an atom, `λ` or the
        measurement is not finite.

    Raises:
        ValueError: for another `padding`, fewer iterations, a tolerance that
            is negative or not finite, images with other channels than the
            atoms, or initial codes of another shape.

    References:
        Beck & Teboulle, A fast iterative shrinkage-thresholding algorithm,
        SIAM J. Imaging Sciences 2009, section 4; O'Donoghue & Candès,
        Adaptive restart for accelerated gradient schemes, Foundations of
        Computational Mathematics 2015, section 3.2; Scheinberg, Goldfarb &
        Bai, Fast first-order methods for composite convex optimization with
        backtracking, Foundations of Computational Mathematics 2014, for
        FISTA with steps that grow.
    """
    check_choice(("same", "valid"), padding=padding)
    check_integer(1, iterations=iterations)
    if isinstance(tolerance, (int, float)):
        check_at_least(0, tolerance=tolerance)
    dtype = keras.backend.standardize_dtype(images.dtype)
    at = nonnegative, strides, padding, measurement
    program = precise_program(images, kernel, sparsity, *at)
    images = program.images
    if initial_codes is not None:
        check_code_size(
            initial_codes.shape, kernel.shape, images.shape, strides, padding
        )
        initial_codes = as_dtype_of(initial_codes, images)
        if nonnegative:
            initial_codes = ops.relu(initial_codes)
    constants = {
        name: ops.stop_gradient(getattr(program, name))
        for name in ("images", "kernel", "sparsity")
    }
    codes = ProximalGradient(
        program._replace(**constants),
        ops.stop_gradient(as_dtype_of(step_size, images)),
        tolerance,
        line_search,
    ).run(iterations, initial_codes)
    codes = implicit_gradient(codes, program, iterations)
    # No gap of what is not finite is above anything: it would be done.
    total = ops.sum(images, AXES, keepdims=True) + ops.sum(program.kernel)
    total = total + program.sparsity
    if measurement is not None:
        seen = program.measurement.forward(images)
        total = total + ops.sum(seen, AXES, keepdims=True)
    codes = ops.where(ops.isfinite(total), codes, float("nan"))
    if keras.backend.is_float_dtype(dtype):
        codes = ops.cast(codes, dtype)
    return codes


# `residual` is `x - A z` at the codes; `point_residual` and `slope` are
# `x - A y` and `Aᵀ(x - A y)` at the extrapolated point `y`. FISTA's sequence
# `t` and the step size are `(batch, 1, 1, 1)`, `active` is `(batch,)`.
State = collections.namedtuple(
    "State",
    [
        "index",
        "codes",
        "residual",
        "point",
        "point_residual",
        "slope",
        "t",
        "step_size",
        "active",
    ],
)


class ProximalGradient:
    """FISTA on one batch; see `solve_sparse_code`.

    An iteration takes one synthesis, for the residual at the codes, and one
    analysis, for the slope at the next point. The residual at the point is
    extrapolated like the point, since it is affine in the codes.

    With `line_search`, a step from `y` to `z` of size `η` above the given one
    must have `η ‖A(z - y)‖² ≤ ‖z - y‖²`, which is all that the proof of FISTA
    needs of `η`. Otherwise the codes stay, and the next iteration tries
    `max(η/2, step_size)` from the same `y`. After a step, `η' = 1.05 η` and
    `t' = (1 + √(1 + 4 (η/η') t²))/2`, so that, whatever `η'` becomes,
    `η' t'(t' - 1) ≤ η t²`, the other thing that the proof needs.
    """

    def __init__(self, program, step_size, tolerance, line_search):
        self.program = program
        self.step_size = step_size
        self.tolerance = tolerance
        self.line_search = line_search

    def run(self, iterations, initial_codes=None):
        """Returns the codes."""
        state = ops.while_loop(
            lambda *state: ops.any(State(*state).active),
            lambda *state: tuple(self._advance(State(*state))),
            tuple(self._start(initial_codes)),
            maximum_iterations=iterations,
        )
        return State(*state).codes

    def _start(self, codes):
        if codes is None:
            residual = self.program.images
            slope = self.program.analysis(residual)
            codes = ops.zeros_like(slope)
        else:
            codes = ops.stop_gradient(codes)
            residual = self.program.residual(codes)
            slope = self.program.analysis(residual)
        one = ops.ones_like(codes[:, :1, :1, :1])
        active = one[:, 0, 0, 0] > 0
        if self.tolerance is not None:
            active = self._open(codes, residual, slope)
        return State(
            ops.convert_to_tensor(0, "int32"),
            codes,
            residual,
            codes,
            residual,
            slope,
            one,
            one * self.step_size,
            active,
        )

    def _advance(self, state):
        trial = forms().fusable(proximal_step)(
            state.point,
            state.slope,
            state.step_size,
            state.step_size * self.program.sparsity,
            self.program.nonnegative,
        )
        trial_residual = self.program.residual(trial)
        uphill, length = forms().fusable(row_sums)(
            trial, state.codes, state.point
        )
        moved = self._moved(state, trial_residual, length)
        here = moved[:, None, None, None]
        momentum, t, step_size = self._momentum(state, uphill)
        codes, point = self._extrapolated(state, trial, moved, momentum)
        residual = ops.where(here, trial_residual, state.residual)
        point_residual = ops.where(
            here,
            extrapolation(residual, state.residual, momentum),
            state.point_residual,
        )
        shorter = ops.maximum(DECAY * state.step_size, self.step_size)
        return State(
            state.index + 1,
            codes,
            residual,
            point,
            point_residual,
            self.program.analysis(point_residual),
            ops.where(here, t, state.t),
            ops.where(here, step_size, shorter),
            self._remaining(state, codes, residual),
        )

    def _moved(self, state, residual, length):
        """Which examples move: all that are active and whose step is short.

        That is `η ‖A(z - y)‖² ≤ ‖z - y‖²`, or `η` is the given one.
        """
        if not self.line_search:
            return state.active
        change = ops.square(residual - state.point_residual)
        step_size = state.step_size[:, 0, 0, 0]
        short = ops.logical_or(
            step_size * ops.sum(change, AXES) <= ops.sum(length, 1),
            step_size <= self.step_size,
        )
        return ops.logical_and(state.active, short)

    def _momentum(self, state, uphill):
        """Factor of `z - z'`, next `t`, next step, all `(batch, 1, 1, 1)`."""
        growth = GROWTH if self.line_search else 1.0
        t = (1 + ops.sqrt(1 + 4 / growth * ops.square(state.t))) / 2
        turned = ops.sum(uphill, 1)[:, None, None, None] > 0
        momentum = ops.where(turned, 0, (state.t - 1) / t)
        return momentum, ops.where(turned, 1, t), growth * state.step_size

    def _extrapolated(self, state, trial, moved, momentum):
        """The next codes and point: of those that do not move, the old."""

        def all_moved():
            point = forms().fusable(extrapolation)(trial, state.codes, momentum)
            return trial, point

        def some_moved():
            codes, point = all_moved()
            here = moved[:, None, None, None]
            return (
                ops.where(here, codes, state.codes),
                ops.where(here, point, state.point),
            )

        return ops.cond(ops.all(moved), all_moved, some_moved)

    def _remaining(self, state, codes, residual):
        """Which examples go on: all, but after every `PERIOD` iterations."""
        if self.tolerance is None:
            return state.active

        def unsolved():
            still = self._open(codes, residual, self.program.analysis(residual))
            return ops.logical_and(state.active, still)

        due = (state.index + 1) % PERIOD == 0
        return ops.cond(due, unsolved, lambda: state.active)

    def _open(self, codes, residual, slope):
        """Whether the relative duality gap is above tolerance."""
        value = self.program.value(codes, residual)
        gap = self.program.gap(codes, residual, slope)
        return gap > self.tolerance * value


def proximal_step(point, slope, step_size, threshold, nonnegative):
    """`prox(y + η Aᵀ(x - A y))`."""
    return soft_threshold(point + step_size * slope, threshold, nonnegative)


def extrapolation(codes, previous, momentum):
    """`z + m (z - z')`."""
    return codes + momentum * (codes - previous)


def row_sums(codes, previous, point):
    """`<y - z, z - z'>`, above 0 where momentum misleads, and `‖z - y‖²`.

    Both by rows of the codes, `(batch, code_height)`.
    """
    step = codes - point
    return (
        -ops.sum(step * (codes - previous), (2, 3)),
        ops.sum(ops.square(step), (2, 3)),
    )
