"""How features of images and reconstructions compare, and their rank."""

import numpy as np
from scipy.stats import entropy

from keras_csc.metrics.arrays import as_array
from keras_csc.metrics.arrays import as_images
from keras_csc.metrics.arrays import as_matrix


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


def cosine_similarity(features, reconstructed_features):
    """Mean cosine between features of images and of their reconstructions.

    `mean_i <z_i, ẑ_i> / (‖z_i‖ ‖ẑ_i‖)`. A zero row counts as 0.

    Args:
        features: array of shape `(n, d)`: `Z = f(X)`.
        reconstructed_features: array of shape `(n, d)`: `Ẑ = f(g(Z))`.

    Returns:
        A float in `[-1, 1]`; 1 if all pairs point the same way.
    """
    features, reconstructed = _feature_pair(features, reconstructed_features)
    products = np.sum(features * reconstructed, axis=1)
    norms = np.linalg.norm(features, axis=1)
    norms = norms * np.linalg.norm(reconstructed, axis=1)
    return float(np.mean(products / np.where(norms > 0, norms, 1)))


def retrieval_rate(features, reconstructed_features):
    """Share of images whose reconstruction has its own image as nearest.

    `mean_i [‖ẑ_i - z_i‖ < ‖ẑ_i - z_j‖ for all j ≠ i]`, the sample-wise
    consistency of the transcription: an image comes back as itself, not as
    another of its kind. On the sphere the nearest row also has the largest
    cosine. A tie counts as a miss, so that collapsed features
    score 0.

    Args:
        features, reconstructed_features: as of `cosine_similarity`.

    Returns:
        A float in `[0, 1]`; chance is about `1/n`.
    """
    return _own_is_nearest(*_feature_pair(features, reconstructed_features))


def pixel_retrieval_rate(images, reconstructions):
    """Share of images whose reconstruction is nearest to its own, in pixels.

    `mean_i [‖x̂_i - x_i‖ < ‖x̂_i - x_j‖ for all j ≠ i]`, with Euclidean
    distances of pixels: `retrieval_rate` without the encoder as judge.

    Args:
        images: floats of shape `(n, height, width, channels)`.
        reconstructions: floats of the same shape and range.

    Returns:
        A float in `[0, 1]`; chance is about `1/n`.
    """
    images = as_images("images", images)
    made = as_images("reconstructions", reconstructions, images.shape)
    return _own_is_nearest(*(x.reshape(len(x), -1) for x in (images, made)))


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
    features = as_matrix("features", features)
    if not np.any(features):
        return 0.0
    singular_values = np.linalg.svd(features, compute_uv=False)
    return float(np.exp(entropy(singular_values)))


def _feature_pair(features, reconstructed_features):
    features = as_matrix("features", features)
    name = "reconstructed_features"
    return features, as_array(name, reconstructed_features, features.shape)


def _own_is_nearest(rows, queries):
    """Share of queries strictly nearer to their own row than to all others.

    The nearest rows are found with a matrix product, whose rounding can
    confuse ties; the two that are found are compared by their differences.
    """
    from sklearn.neighbors import NearestNeighbors

    if len(rows) == 1:
        return 1.0
    search = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(rows)
    first, second = search.kneighbors(queries, return_distance=False).T
    rivals = rows[np.where(first == np.arange(len(rows)), second, first)]
    own, other = (
        np.linalg.norm(queries - each, axis=1) for each in (rows, rivals)
    )
    return float(np.mean(own < other))
