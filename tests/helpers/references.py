"""The mathematics of the suite once more: NumPy in float64, by definition."""

import functools
import math

import numpy as np
from scipy.sparse import linalg


@functools.lru_cache(maxsize=None)
def analysis_index(kernel_shape, image_size, strides, padding):
    """Where every entry of the dense `Aᵀ` comes from: 1 + index, or 0."""
    k, _, channels, filters = kernel_shape
    sizes, before = [], []
    for n in image_size:
        if padding == "valid":
            sizes.append((n - k) // strides + 1)
            before.append(0)
        else:
            size = int(np.ceil(n / strides))
            sizes.append(size)
            before.append(max((size - 1) * strides + k - n, 0) // 2)
    atoms = 1 + np.arange(np.prod(kernel_shape)).reshape(kernel_shape)
    index = np.zeros((*sizes, filters, *image_size, channels), int)
    for i, j in np.ndindex(*sizes):
        for u, v in np.ndindex(k, k):
            y = strides * i + u - before[0]
            x = strides * j + v - before[1]
            if 0 <= y < image_size[0] and 0 <= x < image_size[1]:
                index[i, j, :, y, x, :] = atoms[u, v].T
    return index.reshape(np.prod(sizes) * filters, -1), tuple(sizes)


def analysis_matrix(kernel, image_size, strides, padding):
    """Dense `Aᵀ`, from flat images to flat codes, and the codes' size."""
    index, sizes = analysis_index(
        kernel.shape, tuple(image_size), strides, padding
    )
    entries = np.concatenate([[0.0], np.ravel(kernel)])
    return entries[index], sizes


def analyze(images, kernel, strides, padding):
    matrix, sizes = analysis_matrix(kernel, images.shape[1:3], strides, padding)
    flat = images.reshape(len(images), -1) @ matrix.T
    return flat.reshape(len(images), *sizes, kernel.shape[-1])


def synthesize(codes, kernel, image_size, strides, padding):
    matrix, _ = analysis_matrix(kernel, image_size, strides, padding)
    flat = codes.reshape(len(codes), -1) @ matrix
    return flat.reshape(len(codes), *image_size, kernel.shape[2])


def largest_eigenvalue(kernel, image_size, strides, padding):
    """Of `A Aᵀ` and `Aᵀ A` alike: the smaller matrix is decomposed."""
    matrix, _ = analysis_matrix(kernel, image_size, strides, padding)
    if matrix.shape[0] > matrix.shape[1]:
        matrix = matrix.T
    if len(matrix) < 500:
        return np.linalg.eigvalsh(matrix @ matrix.T)[-1]
    start = np.ones(len(matrix))
    (largest,) = linalg.svds(
        matrix, k=1, v0=start, return_singular_vectors=False
    )
    return largest**2


def frame_bound(kernel, strides):
    """`⌈k/s⌉² (Σ σ²ᴺ)^(1/N)` of the atoms' singular values, `N = 4096`."""
    atoms = kernel.reshape(-1, kernel.shape[-1])
    squares = np.linalg.svd(atoms, compute_uv=False) ** 2
    norm = np.sum((squares / squares[0]) ** 4096) ** (1 / 4096) * squares[0]
    return math.ceil(kernel.shape[0] / strides) ** 2 * norm


def problem(
    seed=0, size=(6, 7), kernel_size=3, strides=1, padding="same", step=1.0
):
    """Two images, unit-norm atoms and a step size: `step` times `1/λmax`."""
    rng = np.random.default_rng(seed)
    kernel = rng.normal(size=(kernel_size, kernel_size, 2, 4))
    kernel /= np.sqrt(np.sum(kernel**2, axis=(0, 1, 2)))
    images = rng.normal(size=(2, *size, 2))
    largest = largest_eigenvalue(kernel, size, strides, padding)
    return images, kernel, step / largest


def shrink(values, threshold, nonnegative):
    if nonnegative:
        return np.maximum(values - threshold, 0)
    return np.sign(values) * np.maximum(np.abs(values) - threshold, 0)


def solve_sparse_code(
    images,
    kernel,
    sparsity,
    step_size,
    nonnegative=False,
    strides=1,
    padding="same",
    iterations=2,
):
    """Beck & Teboulle 2009, section 4, with `y₁ = z₀ = 0` and `t₁ = 1`."""
    size = images.shape[1:3]
    codes = np.zeros_like(analyze(images, kernel, strides, padding))
    point, t = codes, 1.0
    for _ in range(iterations):
        previous = codes
        residual = synthesize(point, kernel, size, strides, padding) - images
        gradient = analyze(residual, kernel, strides, padding)
        codes = shrink(
            point - step_size * gradient, step_size * sparsity, nonnegative
        )
        next_t = (1 + np.sqrt(1 + 4 * t**2)) / 2
        point = codes + (t - 1) / next_t * (codes - previous)
        t = next_t
    return codes


def program_value(images, codes, kernel, sparsity, strides, padding):
    """`λ‖z‖₁ + ½‖x - A z‖₂²` of every example."""
    size = images.shape[1:3]
    residual = images - synthesize(codes, kernel, size, strides, padding)
    penalty = np.sum(sparsity * np.abs(codes), (1, 2, 3))
    return penalty + 0.5 * np.sum(residual**2, (1, 2, 3))


def coding_rate(features, epsilon=0.5):
    n, d = features.shape
    matrix = np.eye(d) + d / (n * epsilon) * features.T @ features
    return 0.5 * np.linalg.slogdet(matrix)[1]


def rate_reduction(features, labels, epsilon=0.5):
    n = len(features)
    parts = [features[labels == label] for label in np.unique(labels)]
    return coding_rate(features, epsilon) - sum(
        len(part) / n * coding_rate(part, epsilon) for part in parts
    )


def rate_distance(features, others, epsilon=0.5):
    return (
        coding_rate(np.concatenate([features, others]), epsilon)
        - 0.5 * coding_rate(features, epsilon)
        - 0.5 * coding_rate(others, epsilon)
    )


def transcription_objective(features, others, labels=None, epsilon=0.5):
    """`T` of CTRL-Binary, or with labels of CTRL-Multi."""
    if labels is None:
        return rate_distance(features, others, epsilon)
    return (
        rate_reduction(features, labels, epsilon)
        + rate_reduction(others, labels, epsilon)
        + sum(
            rate_distance(
                features[labels == label], others[labels == label], epsilon
            )
            for label in np.unique(labels)
        )
    )


def multistage(codes, others):
    """Relative distance of codes; a stage weighs 1/4 of the one below."""
    distances = [
        np.mean((b - a) ** 2) / np.mean(np.var(a, axis=(0, 1, 2)))
        for a, b in zip(codes, others)
    ]
    weights = [0.25**number for number in range(len(codes))]
    return np.average(distances, weights=weights)


def directional_derivative(function, point, direction, step=1e-6):
    """Central difference of a scalar function."""
    return (
        function(point + step * direction) - function(point - step * direction)
    ) / (2 * step)


def sphere_features(rng, n, d):
    features = rng.normal(size=(n, d))
    return features / np.linalg.norm(features, axis=1, keepdims=True)
