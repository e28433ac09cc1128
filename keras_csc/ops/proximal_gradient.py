"""Proximal gradient iterations that go on until they have converged."""

import collections

from keras import ops

from keras_csc.ops.convolution import analysis
from keras_csc.ops.convolution import synthesis
from keras_csc.ops.objective import AXES
from keras_csc.ops.objective import program_gap
from keras_csc.ops.objective import program_value
from keras_csc.ops.proximal import soft_threshold

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

# `t` is FISTA's sequence, `(batch, 1, 1, 1)`; `slope` is `Aᵀ(x - A z)` at the
# codes, and `point_slope` at the extrapolated point.
State = collections.namedtuple(
    "State",
    ["index", "codes", "slope", "point", "point_slope", "t", "active"],
)


class ProximalGradient:
    """ISTA and FISTA on one batch; see `ops.solve_sparse_code`.

    The slope at the extrapolated point is extrapolated like the point, since
    it is affine in the codes: so the two convolutions of an iteration also
    give the objective and the duality gap at the codes.
    """

    def __init__(
        self,
        images,
        kernel,
        sparsity,
        step_size,
        ridge=0.0,
        nonnegative=False,
        strides=1,
        padding="same",
        iterations=1000,
        tolerance=None,
        algorithm="fista",
        restart=True,
        record=False,
    ):
        self.images = images
        self.kernel = kernel
        self.sparsity = sparsity
        self.step_size = step_size
        self.ridge = ridge
        self.nonnegative = nonnegative
        self.geometry = (strides, padding)
        self.iterations = iterations
        self.tolerance = tolerance
        self.extrapolates = algorithm == "fista"
        self.restart = restart
        self.record = record
        self.shrinkage = 1 / (1 + step_size * ridge)

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
            residual = self.images
            slope = analysis(self.images, self.kernel, *self.geometry)
            codes = ops.zeros_like(slope)
        else:
            residual, slope = self._residual_and_slope(codes)
        one = ops.ones_like(codes[:, :1, :1, :1])
        active = one[:, 0, 0, 0] > 0
        if self.tolerance is not None:
            active = self._open(codes, residual, slope)
        index = ops.convert_to_tensor(0, "int32")
        state = State(index, codes, slope, codes, slope, one, active)
        nothing = ops.full((self.iterations, 1), float("nan"), codes.dtype)
        nothing = nothing * one[:, 0, 0, 0]
        return state, (nothing,) * (5 if self.record else 0)

    def _advance(self, state, history):
        codes = soft_threshold(
            (state.point + self.step_size * state.point_slope) * self.shrinkage,
            self.step_size * self.sparsity * self.shrinkage,
            self.nonnegative,
        )
        codes = ops.where(state.active[:, None, None, None], codes, state.codes)
        residual, slope = self._residual_and_slope(codes)
        history = self._recorded(history, state, codes, residual, slope)
        momentum, t = self._momentum(state, codes)
        active = state.active
        if self.tolerance is not None:
            still = self._open(codes, residual, slope)
            active = ops.logical_and(active, still)
        point = codes + momentum * (codes - state.codes)
        point_slope = slope + momentum * (slope - state.slope)
        index = state.index + 1
        state = State(index, codes, slope, point, point_slope, t, active)
        return state, history

    def _residual_and_slope(self, codes):
        size = self.images.shape[1:3]
        if None in size:
            size = ops.shape(self.images)[1:3]
        image = synthesis(codes, self.kernel, size, *self.geometry)
        residual = self.images - image
        return residual, analysis(residual, self.kernel, *self.geometry)

    def _momentum(self, state, codes):
        """Factor of `z - z'`, and the next `t`, both `(batch, 1, 1, 1)`."""
        if not self.extrapolates:
            return ops.zeros_like(state.t), state.t
        t = (1 + ops.sqrt(1 + 4 * ops.square(state.t))) / 2
        momentum = (state.t - 1) / t
        if self.restart:
            uphill = (state.point - codes) * (codes - state.codes)
            uphill = ops.sum(uphill, AXES, keepdims=True) > 0
            momentum = ops.where(uphill, 0, momentum)
            t = ops.where(uphill, 1, t)
        return momentum, t

    def _gap(self, codes, residual, slope):
        return program_gap(
            codes,
            residual,
            slope,
            self.sparsity,
            self.ridge,
            self.nonnegative,
        )

    def _open(self, codes, residual, slope):
        """Whether the relative duality gap of examples is above tolerance."""
        value = program_value(codes, residual, self.sparsity, self.ridge)
        return self._gap(codes, residual, slope) > self.tolerance * value

    def _recorded(self, history, state, codes, residual, slope):
        if not self.record:
            return history
        step = ops.square(codes - state.codes)
        values = IterationStatistics(
            program_value(codes, residual, self.sparsity, self.ridge),
            0.5 * ops.sum(ops.square(residual), AXES),
            ops.sum(ops.abs(codes), AXES),
            self._gap(codes, residual, slope),
            ops.sqrt(ops.sum(step, AXES)),
        )
        rows = ops.arange(self.iterations, dtype="int32")[:, None]
        here = ops.logical_and(rows == state.index, state.active)
        return tuple(
            ops.where(here, value, column)
            for value, column in zip(values, history)
        )
