"""Classifiers on frozen features: what the features know of the classes.

Labels are integers of shape `(n,)`; rows labelled -1 are unlabelled and left
out of training and of testing. A test example whose class has no training
example cannot be recognised and counts as an error.
"""

import numpy as np
from keras import ops

from keras_csc.metrics.arrays import as_matrix
from keras_csc.metrics.arrays import labelled_sets


def nearest_neighbors(train_features, features, neighbors=5, centered=False):
    """The training features that are nearest to features.

    Euclidean distance, as of `knn_accuracy`, which says what `centered` does.

    Args:
        train_features: array of shape `(n, d)`.
        features: array of shape `(m, d)`.
        neighbors: int, at most `n`. Defaults to 5.
        centered: bool, whether features are centred and scaled to norm one.
            Defaults to `False`.

    Returns:
        A tuple of rows of `train_features`, ints `(m, neighbors)`, nearest
        first, and their distances, float64 of the same shape.
    """
    from sklearn.neighbors import NearestNeighbors

    train = as_matrix("train_features", train_features)
    features = as_matrix("features", features, columns=train.shape[1])
    if centered:
        train, features = _centered(train, features)
    search = NearestNeighbors(n_neighbors=neighbors).fit(train)
    distances, rows = search.kneighbors(features)
    return rows, distances


def knn_accuracy(
    train_features,
    train_labels,
    test_features,
    test_labels,
    neighbors=5,
    centered=False,
):
    """Accuracy of the vote of the nearest training features.

    Euclidean distance, one vote a neighbor; on the sphere the same as cosine.
    Equal votes go to the smallest label.

    What all features share hides from cosines how they differ.
    `centered=True` compares `(z - m) / ‖z - m‖`, with `m` the mean of the
    training features: centred, and scaled to the sphere again.

    Args:
        train_features: array of shape `(n, d)`.
        train_labels: ints of shape `(n,)`, -1 for unlabelled.
        test_features: array of shape `(m, d)`.
        test_labels: ints of shape `(m,)`, -1 for unlabelled.
        neighbors: int, at most the labelled training rows. Defaults to 5.
        centered: bool, whether features are centred and scaled to norm one;
            a feature that is the mean becomes zero. Defaults to `False`.

    Returns:
        A float in `[0, 1]`.

    Reference:
        - [Wang et al., 2019, SimpleShot](https://arxiv.org/abs/1911.04623),
          on centred features of norm one ("CL2N")
    """
    from sklearn.neighbors import KNeighborsClassifier

    train, train_labels, test, test_labels = labelled_sets(
        train_features, train_labels, test_features, test_labels
    )
    if centered:
        train, test = _centered(train, test)
    classifier = KNeighborsClassifier(n_neighbors=neighbors)
    classifier.fit(train, train_labels)
    return float(classifier.score(test, test_labels))


def linear_probe_accuracy(
    train_features, train_labels, test_features, test_labels
):
    """Accuracy of multinomial logistic regression on the features.

    Every feature is standardised on the training set, so that the result does
    not depend on their scale; then scikit-learn's `LogisticRegression` with
    its default penalty `C = 1`, a tolerance of 1e-3 and at most 200 iterations.

    Args:
        train_features, train_labels, test_features, test_labels: as of
            `knn_accuracy`; the training labels name two classes or more.

    Returns:
        A float in `[0, 1]`.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, train_labels, test, test_labels = labelled_sets(
        train_features, train_labels, test_features, test_labels
    )
    probe = make_pipeline(
        StandardScaler(), LogisticRegression(tol=1e-3, max_iter=200)
    )
    probe.fit(train, train_labels)
    return float(probe.score(test, test_labels))


def pooled_codes(codes, grid=2):
    """What a linear probe of sparse codes is given: few numbers of each map.

    `[mean_g max(z, 0), mean_g max(-z, 0)]` over every cell `g` of a grid that
    divides the map, for every atom. Codes of images are too many for a probe,
    and means of signed codes cancel: so positive and negative parts are
    pooled apart, over quadrants, as Coates & Ng do.

    Args:
        codes: tensor of shape `(batch, height, width, filters)`, of known
            sizes but for the batch's.
        grid: int, cells a side; smaller maps are not pooled. Defaults
            to 2.

    Returns:
        A tensor of shape `(batch, 2 * cells * filters)`, with `cells` at most
        `grid²`, of numbers `≥ 0`.

    Reference:
        - [Coates & Ng, 2011](
          https://icml.cc/2011/papers/485_icmlpaper.pdf)
    """
    cells = [min(grid, side) for side in codes.shape[1:3]]
    parts = ops.concatenate([ops.relu(codes), ops.relu(-codes)], axis=-1)
    pooled = ops.adaptive_average_pool(
        parts, cells, data_format="channels_last"
    )
    return ops.reshape(pooled, (-1, cells[0] * cells[1] * parts.shape[-1]))


def _centered(train, features):
    """Both less the mean of the first, on the sphere again."""
    mean = np.mean(train, axis=0)
    moved = train - mean, features - mean
    norms = (np.linalg.norm(rows, axis=1, keepdims=True) for rows in moved)
    return [rows / np.where(n > 0, n, 1) for rows, n in zip(moved, norms)]
