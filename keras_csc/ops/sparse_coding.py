"""Sparse codes of images: the convex program and its solver."""

import keras
from keras import ops

from keras_csc.ops.convolution import analysis
from keras_csc.ops.convolution import synthesis
from keras_csc.ops.precision import as_dtype_of
from keras_csc.ops.proximal import soft_threshold


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
        Tensor `(batch,)`.
    """
    residual = images - synthesis(
        codes, kernel, ops.shape(images)[1:3], strides, padding
    )
    axes = (1, 2, 3)
    return (
        ops.sum(sparsity * ops.abs(codes), axes)
        + 0.5 * ridge * ops.sum(ops.square(codes), axes)
        + 0.5 * ops.sum(ops.square(residual), axes)
    )


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
    gradient at it. Their first two steps are the same.

    Args:
        images: tensor `(batch, height, width, channels)`.
        kernel: tensor `(k, k, channels, filters)`, one atom per filter.
        sparsity: `λ ≥ 0`, a number or a tensor that broadcasts to the codes:
            `(filters,)` per filter, `(batch, 1, 1, 1)` per example.
        step_size: `0 < η ≤ 1/λmax(AᵀA)`, number or scalar tensor.
        ridge: `μ ≥ 0`.
        nonnegative: bool, whether codes are constrained to `z ≥ 0`.
        strides: int.
        padding: `"same"` or `"valid"`.
        iterations: int, at least 1.
        algorithm: `"fista"` or `"ista"`.

    Returns:
        Codes `(batch, code_height, code_width, filters)`.

    Reference:
        Beck & Teboulle, A fast iterative shrinkage-thresholding algorithm,
        SIAM J. Imaging Sciences 2009, section 4.
    """
    step_size = as_dtype_of(step_size, images)
    sparsity = as_dtype_of(sparsity, images)
    shrinkage = 1.0 / (1.0 + step_size * ridge) if ridge else None
    threshold = step_size * sparsity
    if ridge:
        threshold = threshold * shrinkage
    momenta = extrapolations(iterations, algorithm)
    solver = _unrolled
    if keras.backend.backend() == "tensorflow":
        from keras_csc.ops.tensorflow_solver import unrolled as solver
    return solver(
        images,
        kernel,
        step_size,
        threshold,
        shrinkage,
        momenta,
        strides=strides,
        padding=padding,
        nonnegative=nonnegative,
    )


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


def _unrolled(
    images,
    kernel,
    step_size,
    threshold,
    shrinkage,
    momenta,
    strides,
    padding,
    nonnegative,
):
    # The step size is folded into the kernel, the smaller array.
    step_kernel = kernel * step_size

    def proximal(values):
        if shrinkage is not None:
            values = values * shrinkage
        return soft_threshold(values, threshold, nonnegative)

    codes = proximal(analysis(images, step_kernel, strides, padding))
    previous = codes
    for momentum in momenta:
        point = codes + momentum * (codes - previous)
        residual = images - synthesis(
            point, kernel, images.shape[1:3], strides, padding
        )
        previous = codes
        codes = proximal(
            point + analysis(residual, step_kernel, strides, padding)
        )
    return codes
