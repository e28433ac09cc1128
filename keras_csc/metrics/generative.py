"""How far apart two sets of images are, as distributions of features.

Such a figure depends on the network that the features come from, and is to be
named with it. "FID" is the figure of the Inception network of Heusel et al.,
which Keras does not have.
"""

import numpy as np
from scipy import linalg
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors


def frechet_distance(features, others):
    """Squared Fréchet distance of the Gaussians fitted to two sets.

    `‖μ - μ'‖² + tr(Σ + Σ' - 2 (Σ^½ Σ' Σ^½)^½)`. With fewer rows than columns
    the covariances are singular, which the form with symmetric roots bears. But
    the fewer the rows, the more the estimate is too large. Compare sets of the
    same size only.

    Args:
        features: array of shape `(n, d)`, at least 2 rows.
        others: array of shape `(m, d)`, at least 2 rows.

    Returns:
        A float, at least 0.

    References:
        - [Dowson & Landau, 1982](
          https://doi.org/10.1016/0047-259X(82)90077-X)
        - [Heusel et al., 2017](https://arxiv.org/abs/1706.08500)
    """
    pair = _pair(features, others)
    difference = np.subtract(*(np.mean(rows, axis=0) for rows in pair))
    first, second = (np.atleast_2d(np.cov(rows.T)) for rows in pair)
    values, vectors = linalg.eigh(first)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    product = linalg.eigvalsh(root @ second @ root)
    distance = difference @ difference + np.trace(first) + np.trace(second)
    distance -= 2 * np.sum(np.sqrt(np.maximum(product, 0)))
    return float(max(distance, 0.0))


def precision_recall(features, others, neighbors=3):
    """Improved precision and recall of a set against real images.

    The manifold of a set is the union of balls around its rows, each up to the
    row's `neighbors`-th nearest other row. Precision is the share of `others`
    in the manifold of `features`, which look real. Recall is the share of
    `features` in the manifold of `others`, which a model makes, too.

    Args:
        features: array of shape `(n, d)`, of real images.
        others: array of shape `(m, d)`, of images to judge.
        neighbors: int, less than `n` and `m`.

    Returns:
        `(precision, recall)`, floats in `[0, 1]`.

    Reference:
        - [Kynkäänniemi et al., 2019](https://arxiv.org/abs/1904.06991)
    """
    features, others = _pair(features, others)
    # Distances come from a matrix product, more exact near the origin.
    center = np.mean(features, axis=0)
    features, others = features - center, others - center
    return (
        _share_within(others, features, neighbors),
        _share_within(features, others, neighbors),
    )


def nearest_images(images, others):
    """Distances of images to the nearest of others, and which that is.

    The distance is `min_j ‖x_i - x_j‖ / √numbers`, the root of the mean squared
    difference of pixels. If it is 0, an image that a model made copies a
    training image. Blurred images are nearer to all others than sharp ones. So
    show the distances of test images and of their reconstructions beside it.

    Args:
        images: numbers of shape `(n, height, width, channels)`.
        others: numbers of shape `(m, height, width, channels)`.

    Returns:
        `(distances, indices)`: float and int arrays `(n,)`.
    """
    rows, columns = (
        np.reshape(batch, (len(batch), -1)) for batch in (images, others)
    )
    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(columns)
    indices = search.kneighbors(rows, return_distance=False)[:, 0]
    # The search's distances come from products: 0 would not be 0.
    distances = [
        np.sqrt(np.mean(np.subtract(row, columns[index], dtype="float64") ** 2))
        for row, index in zip(rows, indices)
    ]
    return np.array(distances), indices


def _pair(features, others):
    return np.asarray(features, "float64"), np.asarray(others, "float64")


def _share_within(queries, rows, neighbors):
    search = NearestNeighbors(n_neighbors=neighbors, algorithm="brute")
    radii = search.fit(rows).kneighbors()[0][:, -1]
    # Two products round a distance in two ways.
    norms = (np.linalg.norm(vectors, axis=1) for vectors in (queries, rows))
    radii = radii + 1e-7 * max(map(np.max, norms))
    within = pairwise_distances_chunked(
        queries,
        rows,
        reduce_func=lambda block, start: np.any(block <= radii, axis=1),
        working_memory=256,
    )
    return float(np.mean(np.concatenate(list(within))))
