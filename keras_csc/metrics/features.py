"""How features compare with those of the reconstructions, and their rank."""

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import entropy


def cosine_similarity(features, reconstructed_features):
    """Mean cosine between features and those of the reconstructions.

    `mean_i <z_i, ẑ_i> / (‖z_i‖ ‖ẑ_i‖)`. A zero row counts as 0.

    Args:
        features: Array of shape `(n, d)`: `Z = f(X)`.
        reconstructed_features: Array of shape `(n, d)`: `Ẑ = f(g(Z))`.

    Returns:
        A float in `[-1, 1]`; 1 if all pairs point the same way.

    Raises:
        ValueError: If the arrays are not matrices of one shape with rows.
    """
    features, reconstructed = _feature_pair(features, reconstructed_features)
    products = np.sum(features * reconstructed, axis=1)
    norms = np.linalg.norm(features, axis=1)
    norms = norms * np.linalg.norm(reconstructed, axis=1)
    return float(np.mean(products / np.where(norms > 0, norms, 1)))


def retrieval_rate(features, reconstructed_features, chunk=1024):
    """Share of images whose reconstruction has its own image as nearest.

    `mean_i [‖ẑ_i - z_i‖ < ‖ẑ_i - z_j‖ for all j ≠ i]`, the sample-wise
    consistency of the transcription: an image comes back as itself, not as
    another of its kind. On the sphere the nearest row is also the one with
    the largest cosine. A tie counts as a miss, so that collapsed features
    score 0.

    Distances are taken in float64 and in blocks of `chunk` rows, so that
    memory is `O(chunk * n)`.

    Args:
        features: Array of shape `(n, d)`: `Z = f(X)`.
        reconstructed_features: Array of shape `(n, d)`: `Ẑ = f(g(Z))`.
        chunk: Integer, rows of `Ẑ` compared at once. Defaults to 1024.

    Returns:
        A float in `[0, 1]`; chance is about `1/n`.

    Raises:
        ValueError: If the arrays are not matrices of one shape with rows, or
            `chunk` is not positive.
    """
    if chunk < 1:
        raise ValueError(f"`chunk` should be positive. Received: chunk={chunk}")
    features, reconstructed = _feature_pair(features, reconstructed_features)
    hits = 0
    for start in range(0, len(features), chunk):
        distances = cdist(reconstructed[start : start + chunk], features)
        own = np.diagonal(distances, offset=start)[:, None]
        hits += np.sum(np.sum(~(distances > own), axis=1) == 1)
    return float(hits / len(features))


def effective_rank(features):
    """Effective rank: how many directions the features spread over.

    `exp(H(p))`, with `p_i = σ_i / Σ_j σ_j` the normalised singular values of
    the matrix and `H` the entropy in nats. No mean is removed: classes are
    modelled as subspaces through the origin.

    Args:
        features: Array of shape `(n, d)`.

    Returns:
        A float in `[1, min(n, d)]`; `k` for `k` orthonormal rows.

    Raises:
        ValueError: If `features` is not a matrix with rows, not finite or all
            zero.

    Reference:
        - [Roy & Vetterli, 2007](
          https://www.eurasip.org/Proceedings/Eusipco/Eusipco2007/Papers/a5p-h05.pdf)
    """
    features = _matrix("features", features)
    if not np.any(features):
        raise ValueError(
            "`features` should have a non-zero entry. Received: all zeros, "
            f"features.shape={features.shape}"
        )
    singular_values = np.linalg.svd(features, compute_uv=False)
    return float(np.exp(entropy(singular_values)))


def _matrix(name, values):
    values = np.asarray(values, dtype="float64")
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(
            f"`{name}` should be a non-empty matrix (n, d). "
            f"Received: shape={values.shape}"
        )
    if not np.all(np.isfinite(values)):
        raise ValueError(
            f"`{name}` should be finite. Received: "
            f"{np.sum(~np.isfinite(values))} non-finite entries"
        )
    return values


def _feature_pair(features, reconstructed_features):
    features = _matrix("features", features)
    reconstructed = _matrix("reconstructed_features", reconstructed_features)
    if features.shape != reconstructed.shape:
        raise ValueError(
            "`features` and `reconstructed_features` should have the same "
            f"shape. Received: {features.shape} and {reconstructed.shape}"
        )
    return features, reconstructed
