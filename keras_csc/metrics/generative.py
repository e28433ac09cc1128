"""How far apart two sets of images are, as distributions of features.

None of these is a figure of its own: it is one of the network that the
features and probabilities come from, and is to be named with it. "FID", "KID"
and "IS" are those of the Inception network of Heusel et al. and Salimans et
al., which Keras does not have.
"""

import numpy as np
from scipy import linalg
from scipy.special import rel_entr

from keras_csc.metrics.checks import as_labelled
from keras_csc.metrics.checks import as_matrices
from keras_csc.metrics.checks import as_matrix
from keras_csc.validation import check_at_least

CHUNK = 1024


class FeatureStatistics:
    """Mean and covariance of features that come in batches, in float64.

    `μ = mean_i z_i` and `Σ = Σ_i (z_i - μ)(z_i - μ)ᵀ / (n - 1)`. Batches are
    merged by the moments of each (Chan et al.), so that neither their order
    nor their sizes matter beyond rounding, nor does a mean that is large
    against the deviations.

    Attributes:
        count: int, rows seen.
        mean: Float64 array of shape `(d,)`.
        covariance: Float64 array of shape `(d, d)`.

    Reference:
        - [Chan, Golub & LeVeque, 1982](
          https://doi.org/10.1007/978-3-642-51461-6_3)

    Example:

    >>> statistics = FeatureStatistics()
    >>> for batch in batches:
    ...     statistics.update(network(batch))
    >>> statistics.mean, statistics.covariance
    """

    def __init__(self):
        self.count = 0
        self._mean = self._scatter = None

    def update(self, features):
        """Adds rows.

        Args:
            features: array of shape `(n, d)`.

        Returns:
            The statistics themselves.

        Raises:
            ValueError: if `features` is not a finite matrix with rows, or has
                another `d` than those before.
        """
        features = as_matrix("features", features)
        count, mean = len(features), np.mean(features, axis=0)
        deviations = features - mean
        scatter = deviations.T @ deviations
        if not self.count:
            self.count, self._mean, self._scatter = count, mean, scatter
            return self
        if mean.shape != self._mean.shape:
            raise ValueError(
                "`features` must have as many columns as those before. "
                f"Received: {len(mean)}, and {len(self._mean)} before"
            )
        total = self.count + count
        step = mean - self._mean
        self._scatter += scatter
        self._scatter += np.outer(step, step) * (self.count * count / total)
        self._mean = self._mean + step * (count / total)
        self.count = total
        return self

    @property
    def mean(self):
        self._require(1)
        return self._mean

    @property
    def covariance(self):
        self._require(2)
        return self._scatter / (self.count - 1)

    def _require(self, rows):
        if self.count < rows:
            raise ValueError(
                f"`FeatureStatistics` must have seen at least {rows} "
                f"row(s). Received: {self.count}"
            )


def frechet_distance(real, other):
    """Squared Fréchet distance of the Gaussians fitted to two sets.

    `‖μ - μ'‖² + tr(Σ + Σ' - 2 (Σ^½ Σ' Σ^½)^½)`. With fewer rows than columns
    the covariances are singular, which the form with symmetric roots bears;
    but the fewer the rows, the more the estimate is too large: compare sets
    of the same size only.

    Args:
        real: `FeatureStatistics` of at least 2 rows.
        other: `FeatureStatistics` of as many columns.

    Returns:
        A float, at least 0.

    Raises:
        ValueError: if the statistics have too few rows or differ in columns.

    References:
        - [Dowson & Landau, 1982](
          https://doi.org/10.1016/0047-259X(82)90077-X)
        - [Heusel et al., 2017](https://arxiv.org/abs/1706.08500)
    """
    if real.mean.shape != other.mean.shape:
        raise ValueError(
            "`real` and `other` must have as many columns. Received: "
            f"{len(real.mean)} and {len(other.mean)}"
        )
    values, vectors = linalg.eigh(real.covariance)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    product = linalg.eigvalsh(root @ other.covariance @ root)
    difference = real.mean - other.mean
    return float(
        max(
            difference @ difference
            + np.trace(real.covariance)
            + np.trace(other.covariance)
            - 2 * np.sum(np.sqrt(np.maximum(product, 0))),
            0.0,
        )
    )


def kernel_distance(features, others):
    """Squared maximum mean discrepancy of a cubic kernel, unbiased.

    `MMD² = mean_{i≠j} k(x_i, x_j) + mean_{i≠j} k(y_i, y_j)
    - 2 mean_{i,j} k(x_i, y_j)` with `k(x, y) = (xᵀy / d + 1)³`, of all rows
    at once rather than averaged over random subsets: the same expectation,
    with less variance and no seed.

    Unbiased for sets drawn independently, and so sometimes negative. Images
    and their own reconstructions are not: their pairs, of which the last mean
    has `n` among `n²`, make the value smaller by `O(1/n)`.

    Args:
        features: array of shape `(n, d)`, at least 2 rows.
        others: array of shape `(m, d)`, at least 2 rows.

    Returns:
        A float.

    Raises:
        ValueError: if the arrays are not finite matrices of as many columns
            with two rows or more.

    References:
        - [Gretton et al., 2012](https://jmlr.org/papers/v13/gretton12a.html)
        - [Bińkowski et al., 2018](https://arxiv.org/abs/1801.01401)
    """
    features, others = as_matrices(features=features, others=others)
    _check_rows(2, features=features, others=others)
    within = [
        (_kernel_sum(rows, rows) - _kernel_trace(rows))
        / (len(rows) * (len(rows) - 1))
        for rows in (features, others)
    ]
    across = _kernel_sum(features, others) / (len(features) * len(others))
    return float(sum(within) - 2 * across)


def inception_score(probabilities, splits=10):
    """Inception score: how sharp and how varied the predicted classes are.

    `exp(mean_i KL(p(y | x_i) ‖ mean_j p(y | x_j)))`, of each of `splits`
    contiguous parts of the rows. It is a property of one set; that of real
    images is what to compare it with.

    Args:
        probabilities: array of shape `(n, classes)`, rows that sum to 1.
        splits: int in `[1, n]`. Defaults to 10.

    Returns:
        `(mean, standard deviation)` over the parts, floats; the mean is in
        `[1, classes]`.

    Raises:
        ValueError: if rows are not distributions or `splits` is out of range.

    Reference:
        - [Salimans et al., 2016](https://arxiv.org/abs/1606.03498)
    """
    probabilities = as_matrix("probabilities", probabilities)
    sums = np.sum(probabilities, axis=1)
    if np.min(probabilities) < 0 or np.max(np.abs(sums - 1)) > 1e-3:
        raise ValueError(
            "The rows of `probabilities` must be at least 0 and sum to 1. "
            f"Received: least entry {np.min(probabilities):.3g}, sums from "
            f"{np.min(sums):.3g} to {np.max(sums):.3g}"
        )
    if not 1 <= splits <= len(probabilities):
        raise ValueError(
            "`splits` must be at least 1 and at most the number of rows. "
            f"Received: splits={splits}, rows={len(probabilities)}"
        )
    scores = []
    for part in np.array_split(probabilities, splits):
        divergences = np.sum(rel_entr(part, np.mean(part, axis=0)), axis=1)
        scores.append(np.exp(np.mean(divergences)))
    return float(np.mean(scores)), float(np.std(scores))


def precision_recall(features, others, neighbors=3):
    """Improved precision and recall of a set against real images.

    The manifold of a set is the union of balls around its rows, each up to
    the row's `neighbors`-th nearest other row. Precision is the share of
    `others` in the manifold of `features` (what is made is real), recall the
    share of `features` in the manifold of `others` (what is real is made).

    Args:
        features: array of shape `(n, d)`, of real images.
        others: array of shape `(m, d)`, of those to judge.
        neighbors: int, less than `n` and `m`. Defaults to 3.

    Returns:
        `(precision, recall)`, floats in `[0, 1]`.

    Raises:
        ValueError: if the arrays are not finite matrices of as many columns
            with more than `neighbors` rows.

    Reference:
        - [Kynkäänniemi et al., 2019](https://arxiv.org/abs/1904.06991)
    """
    check_at_least(1, neighbors=neighbors)
    features, others = as_matrices(features=features, others=others)
    _check_rows(neighbors + 1, features=features, others=others)
    # Distances come from a matrix product: near the origin it is exacter.
    center = np.mean(features, axis=0)
    features, others = features - center, others - center
    return (
        _share_within(others, features, neighbors),
        _share_within(features, others, neighbors),
    )


def _share_within(queries, rows, neighbors):
    from sklearn.metrics import pairwise_distances_chunked
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=neighbors, algorithm="brute")
    radii = search.fit(rows).kneighbors()[0][:, -1]
    # Two products round a distance in two ways.
    norms = [np.max(np.linalg.norm(each, axis=1)) for each in (queries, rows)]
    radii = radii + 1e-7 * max(norms)
    within = pairwise_distances_chunked(
        queries,
        rows,
        reduce_func=lambda block, start: np.any(block <= radii, axis=1),
        working_memory=256,
    )
    return float(np.mean(np.concatenate(list(within))))


def _kernel_sum(rows, columns):
    from sklearn.metrics.pairwise import polynomial_kernel

    return sum(
        np.sum(polynomial_kernel(rows[start : start + CHUNK], columns))
        for start in range(0, len(rows), CHUNK)
    )


def _kernel_trace(rows):
    return np.sum((np.mean(rows * rows, axis=1) + 1) ** 3)


def _check_rows(least, **arguments):
    for name, rows in arguments.items():
        if len(rows) < least:
            raise ValueError(
                f"`{name}` must have at least {least} rows. "
                f"Received: shape={rows.shape}"
            )


def nearest_images(images, others):
    """Distances of images to the nearest of others, and which that is.

    `min_j ‖x_i - x_j‖ / √numbers`: the root of the mean squared difference of
    pixels. Images that a model made are copies of training images where it is
    0. Blurred images are nearer to all others than sharp ones: beside made
    images belong those of a test set and their reconstructions.

    Args:
        images: floats of shape `(n, height, width, channels)`.
        others: floats of shape `(m, height, width, channels)`.

    Returns:
        `(distances, indices)`: float and int arrays `(n,)`.

    Raises:
        ValueError: if they hold no images, or images of other shapes.
    """
    from sklearn.neighbors import NearestNeighbors

    images, others = (np.asarray(x, "float32") for x in (images, others))
    shapes = images.shape, others.shape
    if (
        images.ndim != 4
        or shapes[0][1:] != shapes[1][1:]
        or 0 in sum(shapes, ())
    ):
        raise ValueError(
            "`images` and `others` must have the shapes (n, height, width, "
            f"channels) and (m, height, width, channels). Received: {shapes}"
        )
    rows, columns = (x.reshape(len(x), -1) for x in (images, others))
    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(columns)
    indices = search.kneighbors(rows, return_distance=False)[:, 0]
    # The search's distances come from products: 0 would not be 0.
    distances = [
        np.sqrt(np.mean(np.square(row - columns[index], dtype="float64")))
        for row, index in zip(rows, indices)
    ]
    return np.array(distances), indices


def same_class_rate(probabilities, labels):
    """Share of images that a classifier puts in the class of their label.

    `mean_i [argmax_k p_k(x̂_i) = y_i]`, over the labelled images. For
    regenerated images `x̂_i` and the labels of the images they were made of, it
    says whether they are still of the class ("GAN-test"). It is no better than
    the classifier, whose accuracy on the images themselves belongs beside it.

    Args:
        probabilities: array of shape `(n, classes)`; logits do as well.
        labels: ints of shape `(n,)`, below `classes`; -1 for unlabelled.

    Returns:
        A float in `[0, 1]`.

    Raises:
        ValueError: if shapes do not match, no row is labelled, probabilities
            are not finite or a label has no probability.

    Reference:
        - [Shmelkov et al., 2018](https://arxiv.org/abs/1807.09499)
    """
    probabilities, labels = as_labelled(probabilities, labels)
    if not 0 <= labels.min() <= labels.max() < probabilities.shape[1]:
        raise ValueError(
            "`labels` must be -1, or be at least 0 and less than the number "
            f"of classes, {probabilities.shape[1]}. Received: labels from "
            f"{labels.min()} to {labels.max()}"
        )
    return float(np.mean(np.argmax(probabilities, axis=1) == labels))
