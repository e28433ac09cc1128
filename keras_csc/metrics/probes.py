"""Classifiers on frozen features: what the features know of the classes.

Labels are integers of shape `(n,)`; rows labelled -1 are unlabelled and left
out of training and of testing. A test example whose class has no training
example cannot be recognised and counts as an error.
"""

import numpy as np
from keras import ops

from keras_csc.metrics.checks import as_labelled
from keras_csc.metrics.checks import as_matrices
from keras_csc.metrics.subspaces import principal_directions
from keras_csc.validation import check_at_least


def nearest_subspace_accuracy(
    train_features,
    train_labels,
    test_features,
    test_labels,
    components=10,
    centered=False,
):
    """Accuracy of assigning features to the nearest class subspace.

    `ŷ(z) = argmin_j ‖(I - V_j V_jᵀ)(z - m_j)‖₂`, with `V_j` the first
    principal directions of the training features of class `j`, of norm one.
    By default `m_j = 0`: subspaces through the origin, from the singular value
    decomposition, which is what rate reduction promotes. `centered=True` sets
    `m_j` to the class mean (principal component analysis). The CTRL parents
    report both, with 10 components.

    A class spans at most as many directions as its (centered) training
    features have rank; a class of few examples has a smaller subspace.

    Args:
        train_features: array of shape `(n, d)`.
        train_labels: ints of shape `(n,)`, -1 for unlabelled.
        test_features: array of shape `(m, d)`.
        test_labels: ints of shape `(m,)`, -1 for unlabelled.
        components: int in `[1, d - 1]`, dimension of the subspaces, or a list
            of rising ones. Defaults to 10.
        centered: bool, whether class means are removed. Defaults to
            `False`.

    Returns:
        A float in `[0, 1]`, or a list of them.

    Raises:
        ValueError: if shapes do not match, no row is labelled, features are
            not finite, or `components` is out of range.

    Reference:
        - [Chan et al., 2022, ReduNet](
          https://arxiv.org/abs/2105.10446)
        - [Dai et al., 2022, CTRL](https://arxiv.org/abs/2111.06636)
    """
    train, train_labels, test, test_labels = _labelled_sets(
        train_features, train_labels, test_features, test_labels
    )
    several = np.ndim(components) > 0
    distances, classes = _subspace_distances(
        train,
        train_labels,
        test,
        components if several else [components],
        centered,
    )
    predicted = classes[np.argmin(distances, axis=-1)]
    found = np.mean(predicted == test_labels, axis=-1).tolist()
    return found if several else found[0]


def subspace_distances(
    train_features, train_labels, features, components=10, centered=False
):
    """Distances of features from the subspace of every class.

    `‖(I - V_j V_jᵀ)(z - m_j)‖₂`, of which `nearest_subspace_accuracy` takes
    the smallest; see there.

    Args:
        train_features: array of shape `(n, d)`.
        train_labels: ints of shape `(n,)`, -1 for unlabelled.
        features: array of shape `(m, d)`.
        components: int in `[1, d - 1]`, dimension of the subspaces.
            Defaults to 10.
        centered: bool, whether class means are removed. Defaults to
            `False`.

    Returns:
        A tuple of the float64 array `(m, classes)` and the classes
        `(classes,)`, in the order of their labels.

    Raises:
        ValueError: if shapes do not match, no row is labelled, features are
            not finite, or `components` is out of range.
    """
    train, train_labels = as_labelled(train_features, train_labels, "train_")
    train, features = as_matrices(train_features=train, features=features)
    distances, classes = _subspace_distances(
        train, train_labels, features, [components], centered
    )
    return distances[0], classes


def _subspace_distances(train, labels, features, components, centered):
    """Distances `(len(components), m, classes)`, and the classes."""
    ends = np.asarray(components)
    if not 1 <= ends[0] <= ends[-1] < train.shape[1] or any(np.diff(ends) < 1):
        raise ValueError(
            "`components` must be at least 1 and less than the number of "
            f"features, and rise. Received: components={components}, "
            f"train_features.shape={train.shape}"
        )
    classes = np.unique(labels)
    distances = [
        _subspace_residuals(
            train[labels == label], features, components, centered
        )
        for label in classes
    ]
    return np.stack(distances, axis=-1), classes


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

    Raises:
        ValueError: if shapes do not match, features are not finite, or there
            are fewer training rows than `neighbors`.
    """
    from sklearn.neighbors import NearestNeighbors

    train, features = as_matrices(
        train_features=train_features, features=features
    )
    _check_neighbors(neighbors, train)
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

    Raises:
        ValueError: if shapes do not match, no row is labelled, features are
            not finite, or there are fewer training rows than `neighbors`.

    Reference:
        - [Wang et al., 2019, SimpleShot](https://arxiv.org/abs/1911.04623),
          on centred features of norm one ("CL2N")
    """
    from sklearn.neighbors import KNeighborsClassifier

    train, train_labels, test, test_labels = _labelled_sets(
        train_features, train_labels, test_features, test_labels
    )
    _check_neighbors(neighbors, train)
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
        train_features: array of shape `(n, d)`.
        train_labels: ints of shape `(n,)`, -1 for unlabelled; two classes
            or more.
        test_features: array of shape `(m, d)`.
        test_labels: ints of shape `(m,)`, -1 for unlabelled.

    Returns:
        A float in `[0, 1]`.

    Raises:
        ValueError: if shapes do not match, no row is labelled, features are
            not finite, or there is only one training class.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, train_labels, test, test_labels = _labelled_sets(
        train_features, train_labels, test_features, test_labels
    )
    if np.all(train_labels == train_labels[0]):
        raise ValueError(
            "`train_labels` must name two classes or more. Received: only "
            f"class {train_labels[0]}"
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
        codes: tensor of shape `(batch, height, width, filters)`.
        grid: int, cells a side; smaller maps are not pooled. Defaults
            to 2.

    Returns:
        A tensor of shape `(batch, 2 * cells * filters)`, with `cells` at most
        `grid²`, of numbers `≥ 0`.

    Raises:
        ValueError: if `codes` is not of rank 4, of known sizes but for the
            batch's, or `grid` not positive.

    Reference:
        - [Coates & Ng, 2011](
          https://icml.cc/2011/papers/485_icmlpaper.pdf)
    """
    check_at_least(1, grid=grid)
    codes = ops.convert_to_tensor(codes)
    if len(codes.shape) != 4 or None in codes.shape[1:]:
        raise ValueError(
            "`codes` must have shape (batch, height, width, filters), all but "
            "the first of known size. "
            f"Received: shape={codes.shape}"
        )
    cells = [min(grid, side) for side in codes.shape[1:3]]
    parts = ops.concatenate([ops.relu(codes), ops.relu(-codes)], axis=-1)
    pooled = ops.adaptive_average_pool(
        parts, cells, data_format="channels_last"
    )
    return ops.reshape(pooled, (-1, cells[0] * cells[1] * parts.shape[-1]))


def _subspace_residuals(examples, features, components, centered):
    """What subspaces of rising dimensions leave of features: its norms."""
    mean = np.mean(examples, axis=0) if centered else 0.0
    basis = principal_directions(examples, components[-1], mean)
    residual = features - mean
    norms = []
    for start, end in zip((0, *components), components):
        more = basis[start:end]
        residual = residual - residual @ more.T @ more
        norms.append(np.linalg.norm(residual, axis=1))
    return norms


def _check_neighbors(neighbors, train):
    if not 1 <= neighbors <= len(train):
        raise ValueError(
            "`neighbors` must be at least 1 and at most the number of "
            f"labelled training rows. Received: neighbors={neighbors}, "
            f"rows={len(train)}"
        )


def _centered(train, features):
    """Both less the mean of the first, on the sphere again."""
    mean = np.mean(train, axis=0)
    return _on_sphere(train - mean), _on_sphere(features - mean)


def _on_sphere(features):
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(norms > 0, norms, 1)


def _labelled_sets(train_features, train_labels, test_features, test_labels):
    train, train_labels = as_labelled(train_features, train_labels, "train_")
    test, test_labels = as_labelled(test_features, test_labels, "test_")
    if train.shape[1] != test.shape[1]:
        raise ValueError(
            "`train_features` and `test_features` must have as many "
            f"columns. Received: {train.shape[1]} and {test.shape[1]}"
        )
    return train, train_labels, test, test_labels
