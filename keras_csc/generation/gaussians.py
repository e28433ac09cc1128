"""Gaussians whose covariance is of low rank but for noise."""

import numpy as np

# Features of norm 1 are not known better than this in float32.
LEAST_VARIANCE = 1e-8


def probabilistic_pca(covariance, rank):
    """The likeliest `W` and `σ²` for examples of some covariance.

    `Σ ≈ W Wᵀ + σ² I`,  `W = U (Λ - σ² I)^½`,  `σ² = mean_{i>rank} λ_i`, with
    `λ_i` the eigenvalues of `Σ`, the largest first, and `U`, `Λ` the first
    `rank` eigenvectors and eigenvalues: of all `W` and `σ²` those that make
    examples with mean `μ` and covariance `Σ = mean_i (z_i - μ)(z_i - μ)ᵀ`
    likeliest. `rank = d - 1` is `Σ` itself.

    Args:
        covariance: array `(d, d)`.
        rank: int in `[0, d - 1]`.

    Returns:
        `(W, σ²)`: an array `(d, rank)`, and a float of at least 1e-8.

    Reference:
        Tipping & Bishop, Probabilistic principal component analysis, JRSS B
        1999, equations 7 and 8.
    """
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = values[::-1], vectors[:, ::-1]
    noise = max(float(np.mean(values[rank:])), LEAST_VARIANCE)
    scales = np.sqrt(np.maximum(values[:rank] - noise, 0))
    return vectors[:, :rank] * scales, noise


def mixture_moments(rows, components, seed):
    """Weights, means and covariances of a mixture of Gaussians.

    Args:
        rows: float64 array `(n, d)`.
        components: int, at most `n`.
        seed: int, of scikit-learn's first guess, if there are several.

    Returns:
        Arrays `(components,)`, `(components, d)` and `(components, d, d)`.
    """
    if components == 1:
        mean = rows.mean(0)
        covariance = (rows - mean).T @ (rows - mean) / len(rows)
        return np.ones(1), mean[None], covariance[None]
    from sklearn.mixture import GaussianMixture

    mixture = GaussianMixture(
        components, reg_covar=LEAST_VARIANCE, random_state=seed
    ).fit(rows)
    return mixture.weights_, mixture.means_, mixture.covariances_
