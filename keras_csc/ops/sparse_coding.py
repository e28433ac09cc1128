"""Sparse codes by unrolled iterations."""

import functools

from keras import ops

from keras_csc.ops.convolution import analysis
from keras_csc.ops.convolution import synthesis
from keras_csc.ops.program import check_penalty
from keras_csc.ops.program import root_mean_square
from keras_csc.ops.program import soft_threshold
from keras_csc.ops.tensors import as_dtype_of
from keras_csc.validation import check_integer


def sparse_code(
    images,
    kernel,
    sparsity,
    step_size,
    nonnegative=False,
    strides=1,
    padding="same",
    iterations=2,
    prox=None,
    relative=False,
):
    """Runs FISTA on the convolutional sparse coding program.

    The program is `z* = argmin_z  λ‖z‖₁ + ½‖x - A z‖₂²`, optionally `z ≥ 0`.
    From `z = 0` on, `z ← prox(y + η Aᵀ(x - A y))` at the extrapolated point
    `y = z + ((t' - 1)/t)(z - z')`. Gradients with respect to `x`, `W`, `λ` and
    `η` flow through these iterations. Let them flow through an `η` that you
    compute from `W`: a gradient that takes `η` for a constant aligns the atoms,
    and so lets `λmax(AᵀA)` rise. `solve_sparse_code` goes on until it has
    converged.

    Args:
        images: tensor `(batch, height, width, channels)`.
        kernel: tensor `(k, k, channels, filters)`, one atom per filter.
        sparsity: `λ ≥ 0`, a number or a tensor that broadcasts to the codes:
            `(filters,)` per filter, `(batch, 1, 1, 1)` per example.
        step_size: `0 < η ≤ 1/λmax(AᵀA)`, number or scalar tensor.
        nonnegative: bool, whether codes are constrained to `z ≥ 0`.
        strides: int.
        padding: `"same"` or `"valid"`.
        iterations: int, at least 1.
        prox: function of values `v` and a threshold `t`, which returns
            `argmin_z t p(z) + ½‖z - v‖²`. `p` is the penalty in the place of
            `‖z‖₁`, such as a penalty of groups. By default the soft threshold.
        relative: bool, whether the penalty is `sparsity · rms(Aᵀx)` for every
            example, with the root of the mean square over places and filters.
            Then `c · x` has the codes `c · z`, for every `c > 0`.

    Returns:
        Codes `(batch, code_height, code_width, filters)`.

    Raises:
        ValueError: for fewer iterations, numbers `λ < 0` or `η ≤ 0` or that are
            not finite, images with other channels than the atoms, or a `prox`
            with `nonnegative`.

    Reference:
        Beck & Teboulle, A fast iterative shrinkage-thresholding algorithm,
        SIAM J. Imaging Sciences 2009, section 4.
    """
    check_integer(1, iterations=iterations)
    check_penalty(sparsity, step_size)
    if prox and nonnegative:
        raise ValueError(
            "`prox` goes with nonnegative=False: it says itself which codes "
            "there may be."
        )
    kernel = ops.convert_to_tensor(kernel)
    step_size = as_dtype_of(step_size, kernel)
    # The step size is folded into the kernels, the smaller arrays.
    target = as_dtype_of(step_size * kernel, images)
    target = analysis(images, target, strides, padding)
    threshold = as_dtype_of(sparsity, images)
    if relative:
        threshold = threshold * root_mean_square(target)
    else:
        threshold = threshold * as_dtype_of(step_size, images)
    size = ops.shape(images)[1:3]
    scaled = as_dtype_of(ops.sqrt(step_size) * kernel, images)
    if prox is None:
        prox = functools.partial(soft_threshold, nonnegative=nonnegative)
    codes = previous = prox(target, threshold)
    t = 1.0
    for _ in range(iterations - 1):
        following = (1 + (1 + 4 * t**2) ** 0.5) / 2
        point = codes
        if t > 1:
            point = codes + (t - 1) / following * (codes - previous)
        drawn = synthesis(point, scaled, size, strides, padding)
        values = point - analysis(drawn, scaled, strides, padding) + target
        previous, t = codes, following
        codes = prox(values, threshold)
    return codes
