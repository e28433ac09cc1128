"""The largest eigenvalue of `AᵀA`, which bounds the step of ISTA."""

import math

import numpy as np
from keras import ops


def frame_bound(kernel, strides=1):
    """Bounds `λmax(AᵀA)` from above in closed form, for images of every size.

    `λmax(AᵀA) ≤ σmax(W)² ⌈k/s⌉²`, with the atoms as columns of a matrix `W`:
    a pixel is in at most `⌈k/s⌉²` patches, so that `‖A z‖²` is at most that
    many times `Σ_p ‖W z_p‖²` over the code places `p`. For a tight frame it is
    within a per cent of `λmax` of large images. `σmax(W)²` is itself bounded,
    by `tr(Gᴺ)^(1/N)` of the smaller Gram matrix `G` and `N = 4096`, which is at
    most `rank^(1/N)` times as large: 0.2 % for 512 dimensions.

    Args:
        kernel: tensor `(k, k, channels, filters)`, at least float32.
        strides: int.

    Returns:
        Scalar tensor; 0 of a kernel of zeros. No gradient flows through it.
    """
    kernel = ops.stop_gradient(ops.convert_to_tensor(kernel))
    matrix = ops.reshape(kernel, (-1, kernel.shape[-1]))
    if matrix.shape[0] < matrix.shape[1]:
        matrix = ops.transpose(matrix)
    power = ops.matmul(ops.transpose(matrix), matrix)
    logarithm = 0.0
    for squarings in range(13):
        trace = ops.trace(power)
        logarithm = logarithm + ops.log(trace) / 2**squarings
        power = power / trace
        power = ops.matmul(power, power)
    height, width = kernel.shape[:2]
    patches = -(-height // strides) * -(-width // strides)
    norm = ops.max(ops.abs(kernel))
    return ops.where(norm > 0, patches * ops.exp(logarithm), norm)


def spectral_bound(kernel, strides=1):
    """Bounds `λmax(AᵀA)` from above, for images of every size.

    On images without borders, `A` multiplies the Fourier transform of the
    codes with matrices `H(ω)`: row `(p, c)` and column `f` is the transform
    of the polyphase component `W[s q + p, c, f]` of the kernel over `q`.
    Images with borders, of either padding, have a compression of that `A`, so
    `λmax(AᵀA) ≤ max_ω ‖H(ω)‖²`. The maximum is taken over a grid of `n × n`
    frequencies: `u* H(ω)H(ω)* u` is a non-negative trigonometric polynomial
    of degree `d = ⌈k/s⌉ - 1` per direction, whose maximum is at most
    `1/cos⁴(πd/(2n))` times that on the grid (Riesz' lemma). With `n ≈ 22 d`
    this factor is 1.01, and the bound is at most 1 % above the supremum over
    all image sizes; it is equal to it for `k ≤ s`.

    It is computed by NumPy in float64, from an eigendecomposition of size
    `min(s² channels, filters)` for each of the about `250 d²` frequencies.

    Args:
        kernel: array `(k, k, channels, filters)`, no tensor of a graph.
        strides: int.

    Returns:
        Scalar tensor of the type of the kernel. No gradient flows through it.

    References:
        Vaidyanathan, Multirate systems and filter banks, 1993, section 5;
        Pfister & Bresler, Bounding multivariate trigonometric polynomials,
        IEEE Trans. Signal Processing 2019, for such factors.
    """
    kernel = ops.convert_to_tensor(kernel)
    height, width, channels, filters = kernel.shape
    rows, columns = -(-height // strides), -(-width // strides)
    margins = [(0, rows * strides - height), (0, columns * strides - width)]
    phases = np.pad(ops.convert_to_numpy(kernel), [*margins, (0, 0), (0, 0)])
    phases = phases.reshape(rows, strides, columns, strides, channels, filters)
    phases = phases.transpose(0, 2, 1, 3, 4, 5).astype("float64")
    phases = phases.reshape(rows, columns, -1, filters)
    degree = max(rows, columns) - 1
    count = max(math.ceil(22.3 * degree), 1)
    spectrum = np.fft.fft2(phases, (count, count), (0, 1))
    # One of the frequencies ω and -ω is enough.
    matrices = spectrum[: count // 2 + 1].reshape(-1, *phases.shape[2:])
    if matrices.shape[1] > matrices.shape[2]:
        matrices = matrices.swapaxes(1, 2)
    grams = matrices @ matrices.conj().swapaxes(1, 2)
    largest = np.max(np.linalg.eigvalsh(grams))
    bound = largest / math.cos(math.pi * degree / (2 * count)) ** 4
    return ops.convert_to_tensor(bound, kernel.dtype)
