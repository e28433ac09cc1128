"""The largest eigenvalue of `AᵀA`, which bounds the step of ISTA."""

import math

import keras
import numpy as np
from keras import ops

from keras_csc.ops.convolution import analysis
from keras_csc.ops.convolution import synthesis
from keras_csc.validation import check_integer


def power_iteration(kernel, vector, strides=1, padding="same", iterations=1):
    """Runs power iterations `v ← A Aᵀ v / ‖A Aᵀ v‖` on an image-shaped vector.

    Args:
        kernel: tensor `(k, k, channels, filters)`.
        vector: tensor `(1, height, width, channels)` of unit norm, where the
            iteration starts; the previous result, for a warm start.
        strides: int.
        padding: `"same"` or `"valid"`.
        iterations: int, at least 1.

    Returns:
        `(eigenvalue, vector)`: the Rayleigh quotient `‖Aᵀv‖²` of the last
        but one vector, a lower bound of `λmax(AᵀA)` for images of that size
        that rises with the iterations, and the last vector, of unit norm: the
        one before where `A Aᵀ v = 0`.

    Raises:
        ValueError: for fewer iterations.
    """
    check_integer(1, iterations=iterations)
    for _ in range(iterations):
        codes = analysis(vector, kernel, strides, padding)
        eigenvalue = ops.sum(ops.square(codes))
        image = synthesis(codes, kernel, vector.shape[1:3], strides, padding)
        norm = ops.sqrt(ops.sum(ops.square(image)))
        vector = ops.where(
            norm > 0, image / ops.where(norm > 0, norm, 1), vector
        )
    return eigenvalue, vector


def operator_norm(
    kernel, image_size, strides=1, padding="same", iterations=100, seed=0
):
    """Estimates `λmax(AᵀA) = ‖A‖²` for images of one size from a cold start.

    Args:
        kernel: tensor `(k, k, channels, filters)`.
        image_size: `(height, width)`.
        strides: int.
        padding: `"same"` or `"valid"`.
        iterations: int, at least 1.
        seed: int, of the random start.

    Returns:
        Scalar tensor.
    """
    shape = (1, *image_size, kernel.shape[2])
    vector = keras.random.normal(shape, dtype=kernel.dtype, seed=seed)
    vector = vector / ops.sqrt(ops.sum(ops.square(vector)))
    return power_iteration(kernel, vector, strides, padding, iterations)[0]


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


def least_image_size(kernel_size, strides, ratio):
    """Height of images whose `λmax` is at least `ratio` times that of all.

    Holds for square images, either padding and every dictionary. In terms of
    `s` pixels or of codes, `A Aᵀ` and `AᵀA` are Toeplitz away from borders,
    with `d = ⌈k/s⌉ - 1` blocks beside the diagonal. Images of `(L + 1) d s`
    pixels have `L d` such rows: of pixels that no atom further out reaches,
    or, if padding is `"valid"`, of all codes. Restricted to vectors that are
    constant over `d` of these, up to a modulation, this is a Toeplitz matrix
    of `L` rows with one block beside the diagonal, and its symbol, as of a
    non-negative `a + 2b cos ω`, has the maximum `λ` of all sizes: its largest
    eigenvalue is `a + 2b cos(π/(L + 1)) ≥ cos²(π/(2(L + 1))) λ`. That is one
    direction, and the ratio of two is the product. Atoms that are 1 at their
    corners and 0 elsewhere attain it.

    Args:
        kernel_size: int `k`.
        strides: int `s`.
        ratio: float in `(0, 1)`.

    Returns:
        Int, at least the size of an atom.

    Reference:
        Fejér, Über trigonometrische Polynome, J. für die reine und angewandte
        Mathematik 1916, for that eigenvalue.
    """
    degree = -(-kernel_size // strides) - 1
    length = math.ceil(math.pi / (2 * math.acos(ratio**0.25))) - 1
    return max((length + 1) * degree * strides, kernel_size)


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
