"""The convex program of sparse coding: its value, and how far it can fall."""

import collections

import keras
from keras import ops

from keras_csc.ops import convolution
from keras_csc.ops.precision import as_dtype_of
from keras_csc.ops.precision import at_least_float32
from keras_csc.ops.precision import number_or_dtype_of

AXES = (1, 2, 3)
# What a ridge of 0 is replaced by as a divisor: it changes the objective by
# less than rounding does.
SMALLEST_RIDGE = 1e-30


class SparseCodingProgram(
    collections.namedtuple(
        "SparseCodingProgram",
        [
            "images",
            "kernel",
            "sparsity",
            "ridge",
            "nonnegative",
            "strides",
            "padding",
            "measurement",
        ],
        defaults=(0.0, False, 1, "same", None),
    )
):
    """Minimise `P(z) = λ‖z‖₁ + (μ/2)‖z‖₂² + ½‖x - A z‖₂²`, for every example.

    Optionally over `z ≥ 0`. With a `measurement` `B`, such as a mask and a
    blur, `B A` takes the place of `A`: the images are what was measured.

    Fields:
        images: tensor `x` `(batch, height, width, channels)`.
        kernel: tensor `(k, k, channels, filters)`, one atom per filter.
        sparsity: `λ ≥ 0`, a number or a tensor that broadcasts to the codes.
        ridge: `μ ≥ 0`, a number or a tensor that broadcasts to the codes.
        nonnegative: bool, whether codes are constrained to `z ≥ 0`.
        strides: int.
        padding: `"same"` or `"valid"`.
        measurement: a linear operator `B` on images, as `Measurement` is, or
            `None` for the identity. It keeps the size of an image.
    """

    __slots__ = ()

    def analysis(self, residual):
        """`AᵀBᵀ` of what is of the kind of the program's images.

        Returns:
            Tensor `(batch, code_height, code_width, filters)`.
        """
        return convolution.analysis(
            self.back_projection(residual),
            self.kernel,
            self.strides,
            self.padding,
        )

    def synthesis(self, codes):
        """`A` of codes, of the size of the program's images."""
        size = ops.shape(self.images)[1:3]
        return convolution.synthesis(
            codes, self.kernel, size, self.strides, self.padding
        )

    def prediction(self, codes):
        """`B A z`."""
        images = self.synthesis(codes)
        if self.measurement is None:
            return images
        return self.measurement.forward(images)

    def back_projection(self, residual):
        """`Bᵀ` of a residual, an image."""
        if self.measurement is None:
            return residual
        return self.measurement.adjoint(residual)

    def residual(self, codes):
        """`x - B A z`."""
        return self.images - self.prediction(codes)

    def proximal_factors(self, step_size):
        """Threshold `ηλ/(1 + ημ)` and shrinkage `1/(1 + ημ)` of a step `η`.

        Those of `proximal_map`. The shrinkage is `None` where `μ` is the
        number 0.
        """
        threshold = step_size * self.sparsity
        if not self._has_ridge():
            return threshold, None
        shrinkage = 1.0 / (1.0 + step_size * self.ridge)
        return threshold * shrinkage, shrinkage

    def value(self, codes, residual):
        """`P(z)` of every example, `(batch,)`.

        Args:
            codes: tensor `z`.
            residual: tensor `x - B A z`, of `residual`.
        """
        return (
            ops.sum(self.sparsity * ops.abs(codes), AXES)
            + 0.5 * ops.sum(self.ridge * ops.square(codes), AXES)
            + 0.5 * ops.sum(ops.square(residual), AXES)
        )

    def gap(self, codes, residual, slope):
        """Bound of `P(z) - min P` of every example; see `duality_gap`.

        Args:
            codes: tensor `z`.
            residual: tensor `x - B A z`, of `residual`.
            slope: tensor `AᵀBᵀ(x - B A z)`, its `analysis`.
        """
        sparsity = as_dtype_of(self.sparsity, codes)
        size = slope if self.nonnegative else ops.abs(slope)
        above = size > sparsity
        scale = ops.min(
            ops.where(above, sparsity / ops.where(above, size, 1), 1),
            AXES,
            keepdims=True,
        )
        weighted = sparsity * ops.abs(codes)
        gap = ops.sum(weighted - scale * (codes * slope), AXES)
        shrunk = ops.square((1 - scale) * residual)
        gap = gap + 0.5 * ops.sum(shrunk, AXES)
        if self._has_ridge():
            ridge = as_dtype_of(self.ridge, codes)
            quadratic = 0.5 * ridge * ops.square(codes)
            divisor = 2 * ops.maximum(ridge, SMALLEST_RIDGE)
            conjugate = ops.square(ops.relu(size - sparsity)) / divisor
            gap = ops.minimum(
                gap + ops.sum(quadratic, AXES),
                ops.sum(weighted + quadratic + conjugate - codes * slope, AXES),
            )
        return ops.maximum(gap, 0)

    def _has_ridge(self):
        is_number = isinstance(self.ridge, (int, float))
        return not (is_number and self.ridge == 0)


def precise_program(images, kernel, sparsity, ridge, *others):
    """A `SparseCodingProgram` in one dtype, at least float32."""
    images, kernel = at_least_float32(images), at_least_float32(kernel)
    dtype = keras.backend.result_type(images.dtype, kernel.dtype)
    images, kernel = ops.cast(images, dtype), ops.cast(kernel, dtype)
    return SparseCodingProgram(
        images,
        kernel,
        as_dtype_of(sparsity, images),
        number_or_dtype_of(ridge, images),
        *others,
    )


def lasso_objective(
    images, codes, kernel, sparsity, ridge=0.0, strides=1, padding="same"
):
    """Evaluates `λ‖z‖₁ + (μ/2)‖z‖₂² + ½‖x - A z‖₂²` for every example.

    Args:
        images: tensor `(batch, height, width, channels)`.
        codes: tensor `(batch, code_height, code_width, filters)`.
        kernel: tensor `(k, k, channels, filters)`.
        sparsity: `λ ≥ 0`, a number or a tensor that broadcasts to `codes`.
        ridge: `μ ≥ 0`.
        strides: int.
        padding: `"same"` or `"valid"`.

    Returns:
        Tensor `(batch,)`, at least float32, as it is computed.

    Raises:
        ValueError: for images with other channels than the atoms.
    """
    convolution.check_channels(images.shape, kernel.shape)
    program = precise_program(
        images, kernel, sparsity, ridge, False, strides, padding
    )
    codes = as_dtype_of(codes, program.images)
    return program.value(codes, program.residual(codes))


def duality_gap(
    images,
    codes,
    kernel,
    sparsity,
    ridge=0.0,
    nonnegative=False,
    strides=1,
    padding="same",
):
    """Bounds how far `lasso_objective` at `codes` is above its minimum.

    With `h(z) = λ‖z‖₁ + (μ/2)‖z‖₂²` and any `θ`, weak duality gives
    `P(z) - D(θ) = ½‖x - A z - θ‖² + h(z) + h*(Aᵀθ) - <z, Aᵀθ>`, where
    `h*(u) = ‖max(|u| - λ, 0)‖²/(2μ)`, or for `μ = 0`: 0 if `|u| ≤ λ`, else ∞.
    The result is the smaller of the gaps at `θ = s(x - A z)`, with the largest
    `s ≤ 1` such that `|Aᵀθ| ≤ λ`, and, if `μ > 0`, at `θ = x - A z`. For
    non-negative codes, `u` takes the place of `|u|`. The terms are summed as
    differences that are at least 0 each, so that small gaps have no
    cancellation.

    Args:
        images: tensor `(batch, height, width, channels)`.
        codes: tensor `(batch, code_height, code_width, filters)`; at least 0
            if `nonnegative`.
        kernel: tensor `(k, k, channels, filters)`.
        sparsity: `λ ≥ 0`, a number or a tensor that broadcasts to `codes`.
            Where it is 0 and `μ = 0`, the gap is finite, but only of use at
            the solution itself.
        ridge: `μ ≥ 0`, a number or a tensor that broadcasts to `codes`.
        nonnegative: bool, whether codes are constrained to `z ≥ 0`.
        strides: int.
        padding: `"same"` or `"valid"`.

    Returns:
        Tensor `(batch,)`, at least float32, in the units of the objective: at
        least `P(z) - min P`, and 0 at the solution.

    Reference:
        Fercoq, Gramfort & Salmon, Mind the duality gap: safer rules for the
        Lasso, ICML 2015, section 2; Boyd & Vandenberghe, Convex optimization,
        sections 3.3 and 5.2.
    """
    program = precise_program(
        images, kernel, sparsity, ridge, nonnegative, strides, padding
    )
    codes = as_dtype_of(codes, program.images)
    residual = program.residual(codes)
    return program.gap(codes, residual, program.analysis(residual))


def soft_threshold(values, threshold, nonnegative=False):
    """Proximal map of `threshold · ‖z‖₁`, optionally with `z ≥ 0`.

    `sign(v) · max(|v| - t, 0)`, or `max(v - t, 0)` if `nonnegative`.

    Args:
        values: float tensor.
        threshold: number or tensor that broadcasts to `values`, `≥ 0`.
        nonnegative: bool.

    Returns:
        Tensor of the shape of `values`, zero wherever `|v| ≤ t`.

    Reference:
        Beck & Teboulle, A fast iterative shrinkage-thresholding algorithm,
        SIAM J. Imaging Sciences 2009, eq. 1.5.
    """
    if nonnegative:
        return ops.relu(values - threshold)
    # With a threshold of 0 this is the identity, at 0 as well.
    shrunk = values - threshold * ops.sign(values)
    return ops.where(ops.abs(values) < threshold, 0, shrunk)


def proximal_map(values, threshold, shrinkage=None, nonnegative=False):
    """Proximal map of `η (λ‖z‖₁ + (μ/2)‖z‖₂²)`, optionally with `z ≥ 0`.

    It is `soft_threshold(c v, t)` with the shrinkage `c = 1/(1 + ημ)` and the
    threshold `t = ηλ/(1 + ημ)`.

    Args:
        values: float tensor `v`.
        threshold: number or tensor `t` that broadcasts to `values`, `≥ 0`.
        shrinkage: number or tensor `c` that broadcasts to `values`; `None`
            for 1.
        nonnegative: bool.

    Returns:
        Tensor of the shape of `values`.

    Reference:
        Parikh & Boyd, Proximal algorithms, Foundations and Trends in
        Optimization 2014, section 2.2.
    """
    if shrinkage is not None:
        values = values * shrinkage
    return soft_threshold(values, threshold, nonnegative)
