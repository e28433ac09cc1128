"""Sparse codes by unrolled iterations, and the operator that they iterate."""

import math

from keras import ops

from keras_csc.ops.convolution import analysis
from keras_csc.ops.convolution import analysis_size
from keras_csc.ops.convolution import padding_before
from keras_csc.ops.convolution import synthesis
from keras_csc.ops.program import soft_threshold
from keras_csc.ops.tensors import as_dtype_of
from keras_csc.ops.tensors import on_tensorflow
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
):
    """Runs FISTA on the convolutional sparse coding program.

    `z* = argmin_z  λ‖z‖₁ + ½‖x - A z‖₂²`, optionally `z ≥ 0`, from `z = 0` by
    `z ← prox(y + η Aᵀ(x - A y))` at the extrapolated point `y = z +
    ((t' - 1)/t)(z - z')`. Its gradient is that of these iterations, with
    respect to `x`, `W` and `λ`; the step size is held constant. To solve to
    convergence, see `solve_sparse_code`.

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

    Returns:
        Codes `(batch, code_height, code_width, filters)`.

    Raises:
        ValueError: for fewer iterations, or images with other channels than
            the atoms.

    Reference:
        Beck & Teboulle, A fast iterative shrinkage-thresholding algorithm,
        SIAM J. Imaging Sciences 2009, section 4.
    """
    check_integer(1, iterations=iterations)
    kernel = ops.convert_to_tensor(kernel)
    step_size = ops.stop_gradient(as_dtype_of(step_size, images))
    threshold = step_size * as_dtype_of(sparsity, images)
    # The step size is folded into the kernels, the smaller arrays.
    target = analysis(images, step_size * kernel, strides, padding)
    size = ops.shape(images)[1:3]
    scaled = ops.sqrt(step_size) * kernel
    normal = normal_operator(scaled, size, strides, padding)
    codes = previous = soft_threshold(target, threshold, nonnegative)
    t = 1.0
    for _ in range(iterations - 1):
        following = (1 + (1 + 4 * t**2) ** 0.5) / 2
        point = codes
        if t > 1:
            point = codes + (t - 1) / following * (codes - previous)
        values = point - normal(point) + target
        previous, t = codes, following
        codes = soft_threshold(values, threshold, nonnegative)
    return codes


def normal_operator(kernel, image_size, strides, padding):
    """Makes the function `z → AᵀA z`, which `sparse_code` iterates.

    By a synthesis and an analysis it takes `2 k² channels` multiply-adds for
    every number of a code. By the *Gram kernel*, the inner products of atoms at
    all shifts at which they overlap, it is a convolution of the codes and takes
    `(2⌈k/s⌉ - 1)² filters`. To make that kernel costs as much as some images
    do: it is used where it saves more than half of each image's work. On
    TensorFlow it is for training alone, that is within `fusion`.

    Args:
        kernel: tensor `(k, k, channels, filters)`.
        image_size: `(height, width)`, ints or scalar tensors.
        strides: int.
        padding: `"same"` or `"valid"`.

    Returns:
        Function of codes `(batch, code_height, code_width, filters)`.
    """
    outside = pixels_outside(kernel.shape[:2], image_size, strides, padding)
    fuses = on_tensorflow("fuses", lambda: True)
    if outside and fuses() and is_cheaper(kernel.shape, strides):
        return _by_gram_kernel(kernel, strides, outside)

    def by_both_operators(codes):
        images = synthesis(codes, kernel, image_size, strides, padding)
        return analysis(images, kernel, strides, padding)

    return by_both_operators


def is_cheaper(shape, strides):
    """Whether the Gram kernel takes less than half of the multiply-adds."""
    *size, channels, filters = shape
    shifts = math.prod(2 * -(-k // strides) - 1 for k in size)
    return shifts * filters < math.prod(size) * channels


def pixels_outside(kernel_size, image_size, strides, padding):
    """How much of the first and the last atoms is outside of the image.

    Returns:
        List of `(before, after)` for height and width, in pixels; `None` where
        sizes are not known, or other atoms are not whole either.
    """
    found = []
    for n, k in zip(image_size, kernel_size):
        if not isinstance(n, int):
            return None
        count = analysis_size(n, k, strides, padding)
        before = padding_before(n, k, strides, padding)
        after = max((count - 1) * strides + k - n - before, 0)
        if count < 2 or max(before, after) > strides:
            return None
        found.append((before, after))
    return found


def _by_gram_kernel(kernel, strides, outside):
    """As on an image that holds all atoms, less what is outside of it.

    Above and below it only the first and the last row of atoms have pixels, to
    its left and right only the first and the last column.
    """
    if not outside:
        gram = _gram_kernel(kernel, strides)
        return lambda codes: analysis(codes, gram, 1, "same")
    *inner, (before, after) = outside
    axis = len(inner)
    whole = _by_gram_kernel(kernel, strides, inner)
    above, _, below = ops.split(
        kernel, [before, kernel.shape[axis] - after], axis
    )

    def off(part):
        if not part.shape[axis]:
            return lambda codes: 0.0
        return _by_gram_kernel(part, strides, inner)

    first, last = off(above), off(below)

    def apply(codes):
        ends = [1, codes.shape[1 + axis] - 1]
        head, _, tail = ops.split(codes, ends, 1 + axis)
        above, middle, below = ops.split(whole(codes), ends, 1 + axis)
        return ops.concatenate(
            [above - first(head), middle, below - last(tail)], 1 + axis
        )

    return apply


def _gram_kernel(kernel, strides):
    """`⟨W_g, W_f⟩` at all shifts, as the kernel of a convolution of codes.

    Args:
        kernel: tensor `(height, width, channels, filters)`.
        strides: int.

    Returns:
        Tensor `(shifts, shifts, filters, filters)`.
    """
    atoms = ops.transpose(kernel, (3, 0, 1, 2))
    margins = [(-(-k // strides) - 1) * strides for k in kernel.shape[:2]]
    atoms = ops.pad(atoms, [(0, 0), *((n, n) for n in margins), (0, 0)])
    products = analysis(atoms, kernel, strides, "valid")
    return ops.flip(ops.transpose(products, (1, 2, 0, 3)), (0, 1))
