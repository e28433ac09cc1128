"""Proximal gradient iterations that go on until they have converged."""

import collections

from keras import ops

from keras_csc.ops.dispatch import forms
from keras_csc.ops.program import AXES
from keras_csc.ops.program import proximal_map

IterationStatistics = collections.namedtuple(
    "IterationStatistics",
    ["objective", "data_fidelity", "l1_norm", "duality_gap", "step"],
)
IterationStatistics.__doc__ = """What the iterations of a solver did.

Every field is a tensor `(iterations, batch)`; row `i` is the state after
iteration `i + 1`, and NaN once an example had converged and stood still: a
plot of a column ends there.

Fields:
    objective: `λ‖z‖₁ + (μ/2)‖z‖₂² + ½‖x - A z‖₂²`.
    data_fidelity: `½‖x - A z‖₂²`.
    l1_norm: `‖z‖₁`.
    duality_gap: bound of the objective's distance from its minimum.
    step: `‖z - z'‖₂`, length of the step from the codes before.
"""

# `residual` is `x - A z` at the codes; `point_residual` and `slope` are
# `x - A y` and `Aᵀ(x - A y)` at the extrapolated point `y`. FISTA's sequence
# `t` and the step size are `(batch, 1, 1, 1)`.
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

# The duality gap takes a convolution of its own: it is looked at after every
# so many iterations.
PERIOD = 10
# What the step size is multiplied by after every step that was short enough,
# and after one that was too long.
GROWTH, DECAY = 1.05, 0.5


class ProximalGradient:
    """ISTA and FISTA on one batch; see `ops.solve_sparse_code`.

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

    def __init__(
        self,
        program,
        step_size,
        iterations=1000,
        tolerance=None,
        algorithm="fista",
        restart=True,
        line_search=False,
        record=False,
    ):
        self.program = program
        self.step_size = step_size
        self.iterations = iterations
        self.tolerance = tolerance
        self.extrapolates = algorithm == "fista"
        self.restart = restart
        self.line_search = line_search
        self.record = record

    def run(self, initial_codes=None):
        """Returns the codes and `IterationStatistics`, or `None`."""
        state, history = self._start(initial_codes)

        def proceed(state, _):
            return ops.any(State(*state).active)

        def advance(state, history):
            state, history = self._advance(State(*state), history)
            return tuple(state), history

        state, history = ops.while_loop(
            proceed,
            advance,
            (tuple(state), history),
            maximum_iterations=self.iterations,
        )
        statistics = IterationStatistics(*history) if self.record else None
        return State(*state).codes, statistics

    def _start(self, codes):
        if codes is None:
            residual = self.program.images
            slope = self.program.analysis(residual)
            codes = ops.zeros_like(slope)
        else:
            residual = self.program.residual(codes)
            slope = self.program.analysis(residual)
        one = ops.ones_like(codes[:, :1, :1, :1])
        active = one[:, 0, 0, 0] > 0
        if self.tolerance is not None:
            active = self._open(codes, residual, slope)
        index = ops.convert_to_tensor(0, "int32")
        state = State(
            index,
            codes,
            residual,
            codes,
            residual,
            slope,
            one,
            one * self.step_size,
            active,
        )
        nothing = ops.full((self.iterations, 1), float("nan"), codes.dtype)
        nothing = nothing * one[:, 0, 0, 0]
        return state, (nothing,) * (5 if self.record else 0)

    def _advance(self, state, history):
        trial = self._proximal_step(state)
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
        following = State(
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
        return following, self._recorded(history, state, codes, residual)

    def _proximal_step(self, state):
        return forms().fusable(proximal_step)(
            state.point,
            state.slope,
            state.step_size,
            *self.program.proximal_factors(state.step_size),
            self.program.nonnegative,
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

    def _momentum(self, state, uphill):
        """Factor of `z - z'`, next `t`, next step, all `(batch, 1, 1, 1)`."""
        growth = GROWTH if self.line_search else 1.0
        step_size = growth * state.step_size
        if not self.extrapolates:
            return ops.zeros_like(state.t), state.t, step_size
        t = (1 + ops.sqrt(1 + 4 / growth * ops.square(state.t))) / 2
        momentum = (state.t - 1) / t
        if self.restart:
            turned = ops.sum(uphill, 1)[:, None, None, None] > 0
            momentum = ops.where(turned, 0, momentum)
            t = ops.where(turned, 1, t)
        return momentum, t, step_size

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

    def _recorded(self, history, state, codes, residual):
        if not self.record:
            return history
        step = ops.square(codes - state.codes)
        slope = self.program.analysis(residual)
        values = IterationStatistics(
            self.program.value(codes, residual),
            0.5 * ops.sum(ops.square(residual), AXES),
            ops.sum(ops.abs(codes), AXES),
            self.program.gap(codes, residual, slope),
            ops.sqrt(ops.sum(step, AXES)),
        )
        rows = ops.arange(self.iterations, dtype="int32")[:, None]
        here = ops.logical_and(rows == state.index, state.active)
        return tuple(
            ops.where(here, value, column)
            for value, column in zip(values, history)
        )


def proximal_step(point, slope, step_size, threshold, shrinkage, nonnegative):
    """`prox(y + η Aᵀ(x - A y))`; see `proximal_map`."""
    values = point + step_size * slope
    return proximal_map(values, threshold, shrinkage, nonnegative)


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
