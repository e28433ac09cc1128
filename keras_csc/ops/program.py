"""The convex program of sparse coding: its value, and how far it can fall."""

import typing

import keras
from keras import ops

from keras_csc.ops import convolution
from keras_csc.ops.sizes import check_channels
from keras_csc.ops.tensors import as_dtype_of
from keras_csc.ops.tensors import at_least_float32
from keras_csc.validation import check_number

AXES = (1, 2, 3)
# Below, the square root of a mean square has no useful gradient.
LEAST_SQUARE = 1e-30


class SparseCodingProgram(typing.NamedTuple):
    """Minimise `P(z) = λ‖z‖₁ + ½‖x - A z‖₂²`, for every example.

    Optionally over `z ≥ 0`.

    Fields:
        images: tensor `x` `(batch, height, width, channels)`.
        kernel: tensor `(k, k, channels, filters)`, one atom per filter.
        sparsity: `λ ≥ 0`, a number or a tensor that broadcasts to the codes:
            `(filters,)` per filter, `(batch, 1, 1, 1)` per example.
        nonnegative: bool, whether codes are constrained to `z ≥ 0`.
        strides: int.
        padding: `"same"` or `"valid"`.
    """

    images: typing.Any
    kernel: typing.Any
    sparsity: typing.Any
    nonnegative: bool = False
    strides: int = 1
    padding: str = "same"

    def analysis(self, residual):
        """`Aᵀ r` of a residual, or of other tensors like the images.

        Returns:
            Tensor `(batch, code_height, code_width, filters)`.
        """
        return convolution.analysis(
            residual, self.kernel, self.strides, self.padding
        )

    def residual(self, codes):
        """`x - A z`."""
        size = ops.shape(self.images)[1:3]
        return self.images - convolution.synthesis(
            codes, self.kernel, size, self.strides, self.padding
        )

    def value(self, codes, residual):
        """`P(z)` of every example, `(batch,)`.

        Args:
            codes: tensor `z`.
            residual: tensor `x - A z`, from `residual`.
        """
        penalty = ops.sum(self.sparsity * ops.abs(codes), AXES)
        return penalty + 0.5 * ops.sum(ops.square(residual), AXES)

    def gap(self, codes, residual, slope):
        """Bounds `P(z) - min P` of every example from above, `(batch,)`.

        Weak duality bounds it by `½‖x - A z - θ‖² + λ‖z‖₁ - <z, Aᵀθ>`, for any
        `θ` with `|Aᵀθ| ≤ λ`, or `Aᵀθ ≤ λ` for non-negative codes. Here
        `θ = s(x - A z)`, with the largest `s ≤ 1` that is allowed. Every
        difference in the sum is at least 0, so small gaps have no cancellation.
        The bound is 0 at the solution. For a `λ` of 0 it is finite, but says
        little elsewhere.

        Args:
            codes: tensor `z`; at least 0 if `nonnegative`.
            residual: tensor `x - A z`, from `residual`.
            slope: tensor `Aᵀ(x - A z)`, its `analysis`.

        Reference:
            Fercoq, Gramfort & Salmon, Mind the duality gap: safer rules for
            the Lasso, ICML 2015, section 2.
        """
        sparsity = as_dtype_of(self.sparsity, codes)
        size = slope if self.nonnegative else ops.abs(slope)
        above = size > sparsity
        scale = ops.min(
            ops.where(above, sparsity / ops.where(above, size, 1), 1),
            AXES,
            keepdims=True,
        )
        penalty = sparsity * ops.abs(codes) - scale * (codes * slope)
        shrunk = ops.square((1 - scale) * residual)
        gap = ops.sum(penalty, AXES) + 0.5 * ops.sum(shrunk, AXES)
        return ops.maximum(gap, 0)


def precise_program(images, kernel, sparsity, *others, relative=False):
    """A `SparseCodingProgram` in one dtype, at least float32.

    With `relative`, `λ` is `sparsity · rms(Aᵀx)` of every example.

    Raises:
        ValueError: for images with other channels than the atoms.
    """
    check_channels(images.shape, kernel.shape)
    images, kernel = at_least_float32(images), at_least_float32(kernel)
    dtype = keras.backend.result_type(images.dtype, kernel.dtype)
    images, kernel = ops.cast(images, dtype), ops.cast(kernel, dtype)
    sparsity = as_dtype_of(sparsity, images)
    program = SparseCodingProgram(images, kernel, sparsity, *others)
    if not relative:
        return program
    level = root_mean_square(program.analysis(images))
    return program._replace(sparsity=sparsity * level)


def root_mean_square(values):
    """Of every example, `(batch, 1, 1, 1)`; its gradient is finite at 0."""
    squares = ops.square(at_least_float32(values))
    mean = ops.mean(squares, AXES, keepdims=True)
    return ops.cast(ops.sqrt(ops.maximum(mean, LEAST_SQUARE)), values.dtype)


def check_penalty(sparsity, step_size):
    """Raises `ValueError` for numbers that are no `λ ≥ 0` and `η > 0`."""
    if isinstance(sparsity, (int, float)):
        check_number("[0, inf)", sparsity=sparsity)
    if isinstance(step_size, (int, float)):
        check_number("(0, inf)", step_size=step_size)


def soft_threshold(values, threshold, nonnegative=False):
    """Proximal map of `threshold · ‖z‖₁`, optionally with `z ≥ 0`.

    `sign(v) · max(|v| - t, 0)`, or `max(v - t, 0)` if `nonnegative`, for
    `t ≥ 0`.

    Reference:
        Beck & Teboulle, A fast iterative shrinkage-thresholding algorithm,
        SIAM J. Imaging Sciences 2009, eq. 1.5.
    """
    if nonnegative:
        return ops.relu(values - threshold)
    # With a threshold of 0 this is the identity, at 0 as well.
    shrunk = values - threshold * ops.sign(values)
    return ops.where(ops.abs(values) < threshold, 0, shrunk)
