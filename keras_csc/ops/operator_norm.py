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
    by `tr(Gᴺ)^(1/N)` of the smaller Gram matrix `G` and `N = 256`, which is at
    most `rank^(1/N)` times as large: 2.5 % for 512 dimensions.

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
    for squarings in range(9):
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

    It costs an eigendecomposition of twice the size `min(s² channels,
    filters)` for each of the about `250 d²` frequencies.

    Args:
        kernel: tensor `(k, k, channels, filters)`, at least float32.
        strides: int.

    Returns:
        Scalar tensor. No gradient flows through it.

    References:
        Vaidyanathan, Multirate systems and filter banks, 1993, section 5;
        Pfister & Bresler, Bounding multivariate trigonometric polynomials,
        IEEE Trans. Signal Processing 2019, for such factors.
    """
    kernel = ops.stop_gradient(ops.convert_to_tensor(kernel))
    degree = max(-(-k // strides) - 1 for k in kernel.shape[:2])
    count = max(math.ceil(22.3 * degree), 1)
    real, imaginary = _polyphase_spectrum(kernel, strides, count)
    if real.shape[1] > real.shape[2]:
        real = ops.swapaxes(real, 1, 2)
        imaginary = -ops.swapaxes(imaginary, 1, 2)
    # The real form of the complex matrices H, with the same singular values.
    spectrum = ops.concatenate(
        [
            ops.concatenate([real, -imaginary], 2),
            ops.concatenate([imaginary, real], 2),
        ],
        1,
    )
    gram = ops.matmul(spectrum, ops.swapaxes(spectrum, 1, 2))
    # Next to the shift, of at least λmax/4, what rounding leaves of eigenvalues
    # that are 0 is so little that the decomposition converges. A Rayleigh
    # quotient is nearer to the largest than that is.
    shift = ops.max(ops.sum(ops.abs(gram), 2)) / 4
    shifted = gram + shift * ops.eye(gram.shape[1], dtype=gram.dtype)
    vectors = ops.eigh(shifted)[1][:, :, -1:]
    quotients = ops.sum(vectors * ops.matmul(gram, vectors), (1, 2))
    largest = ops.max(quotients / ops.sum(ops.square(vectors), (1, 2)))
    return largest / math.cos(math.pi * degree / (2 * count)) ** 4


def _polyphase_spectrum(kernel, strides, count):
    """Real and imaginary part of `H`, `(frequencies, s² channels, filters)`.

    Of the frequencies `2π (i, j)/n`, one of `ω` and `-ω` is enough.
    """
    height, width, channels, filters = kernel.shape
    steps = [-(-height // strides), -(-width // strides)]
    kernel = ops.pad(
        kernel,
        [
            (0, steps[0] * strides - height),
            (0, steps[1] * strides - width),
            (0, 0),
            (0, 0),
        ],
    )
    phases = ops.reshape(
        kernel, (steps[0], strides, steps[1], strides, channels, filters)
    )
    phases = ops.transpose(phases, (0, 2, 1, 3, 4, 5))
    phases = ops.reshape(phases, (steps[0] * steps[1], -1))
    rows, columns, q, r = np.ogrid[
        : count // 2 + 1, :count, : steps[0], : steps[1]
    ]
    angles = 2 * np.pi * ((rows * q + columns * r) % count) / count
    angles = angles.reshape(-1, steps[0] * steps[1])
    shape = (-1, strides**2 * channels, filters)
    return tuple(
        ops.reshape(ops.matmul(ops.cast(wave, phases.dtype), phases), shape)
        for wave in (np.cos(angles), -np.sin(angles))
    )
