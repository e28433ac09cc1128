"""How features of images and reconstructions compare, and their rank."""

import numpy as np
from scipy.stats import entropy
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from keras_csc.validation import check_finite


def rows(features):
    """Features of every image as one row of norm 1.

    The places of a map follow each other, divided by the root of their number:
    the product of two rows is the mean of the products of their places.

    Args:
        features: array `(n, d)` or `(n, height, width, d)`.
    """
    flat = features.reshape(len(features), -1)
    places = flat.shape[1] // features.shape[-1]
    return flat / places**0.5 if places > 1 else flat


def labelled(features, labels):
    """The labelled rows of features, in float64, and their labels.

    Args:
        features: array of shape `(n, d)`.
        labels: ints of shape `(n,)`, -1 for unlabelled.
    """
    features, labels = np.asarray(features), np.asarray(labels)
    if features.ndim != 2 or labels.shape != features.shape[:1]:
        raise ValueError(
            "Features and their labels must have shapes (n, d) and (n,). "
            f"Received: {features.shape} and {labels.shape}"
        )
    known = labels != -1
    if not np.any(known):
        raise ValueError(
            "Labels must name the class of at least one row. Received: "
            f"{len(labels)} rows, all unlabelled (-1)"
        )
    features = features[known].astype("float64")
    check_finite("features", features)
    return features, labels[known]


def cosine_similarity(features, reconstructed_features):
    """Mean cosine between features of images and of their reconstructions.

    `mean_i <z_i, ẑ_i> / (‖z_i‖ ‖ẑ_i‖)`. A zero row counts as 0.

    Args:
        features: array of shape `(n, d)`: `Z = f(X)`.
        reconstructed_features: array of shape `(n, d)`: `Ẑ = f(g(Z))`.

    Returns:
        A float in `[-1, 1]`; 1 if all pairs point the same way.
    """
    pair = _pair(features, reconstructed_features)
    first, second = (normalize(each.astype("float64")) for each in pair)
    return float(np.mean(np.sum(first * second, axis=1)))


def retrieval_rate(features, reconstructed_features):
    """Share of images whose reconstruction has its own image as nearest.

    `mean_i [‖ẑ_i - z_i‖ < ‖ẑ_i - z_j‖ for all j ≠ i]`, the sample-wise
    consistency of the transcription: an image comes back as itself, not as
    another of its kind. On the sphere the nearest row also has the largest
    cosine. A tie counts as a miss, so that collapsed features score 0. Of
    images instead of features it is the same without the encoder as judge.

    Args:
        features: array of shape `(n, d)`, or images.
        reconstructed_features: array of the same shape.

    Returns:
        A float in `[0, 1]`; chance is about `1/n`.
    """
    rows, queries = _pair(features, reconstructed_features)
    if len(rows) == 1:
        return 1.0
    # The nearest rows are found with a matrix product, whose rounding can
    # confuse ties; the two that are found are compared by their differences.
    search = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(rows)
    first, second = search.kneighbors(queries, return_distance=False).T
    rivals = rows[np.where(first == np.arange(len(rows)), second, first)]
    own, other = (
        np.linalg.norm(queries - each, axis=1) for each in (rows, rivals)
    )
    return float(np.mean(own < other))


def effective_rank(features):
    """Effective rank: how many directions the features spread over.

    `exp(H(p))`, with `p_i = σ_i / Σ_j σ_j` the normalised singular values of
    the matrix and `H` the entropy in nats. No mean is removed: classes are
    modelled as subspaces through the origin.

    Args:
        features: array of shape `(n, d)`.

    Returns:
        A float in `[1, min(n, d)]`; `k` for `k` orthonormal rows, and 0 if all
        are zero.

    Reference:
        - [Roy & Vetterli, 2007](
          https://www.eurasip.org/Proceedings/Eusipco/Eusipco2007/Papers/a5p-h05.pdf)
    """
    features = np.asarray(features, "float64")
    if not np.any(features):
        return 0.0
    singular_values = np.linalg.svd(features, compute_uv=False)
    return float(np.exp(entropy(singular_values)))


def _pair(features, reconstructed_features):
    """Both as rows, in float32 at least."""
    pair = np.asarray(features), np.asarray(reconstructed_features)
    if pair[0].shape != pair[1].shape:
        raise ValueError(
            "Both arrays must have the same shape. "
            f"Received: {pair[0].shape} and {pair[1].shape}"
        )
    return [
        each.reshape(len(each), -1).astype(np.result_type(each, "float32"))
        for each in pair
    ]
