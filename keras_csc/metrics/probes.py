"""Classifiers on frozen features: what the features know of the classes.

Labels are integers of shape `(n,)`; rows labelled -1 are unlabelled and left
out of training and of testing. A test example whose class has no training
example cannot be recognised and counts as an error.
"""

import numpy as np


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
        train_features: Array of shape `(n, d)`.
        train_labels: Integers of shape `(n,)`, -1 for unlabelled.
        test_features: Array of shape `(m, d)`.
        test_labels: Integers of shape `(m,)`, -1 for unlabelled.
        components: Integer in `[1, d - 1]`, dimension of the subspaces.
            Defaults to 10.
        centered: Boolean, whether class means are removed. Defaults to
            `False`.

    Returns:
        A float in `[0, 1]`.

    Raises:
        ValueError: If shapes do not match, no row is labelled, features are
            not finite, or `components` is out of range.

    Reference:
        - [Chan et al., 2022, ReduNet](
          https://arxiv.org/abs/2105.10446)
        - [Dai et al., 2022, CTRL](https://arxiv.org/abs/2111.06636)
    """
    train, train_labels, test, test_labels = _labelled_sets(
        train_features, train_labels, test_features, test_labels
    )
    if not 1 <= components < train.shape[1]:
        raise ValueError(
            "`components` should be at least 1 and less than the number of "
            f"features. Received: components={components}, "
            f"train_features.shape={train.shape}"
        )
    classes = np.unique(train_labels)
    residuals = [
        _subspace_residual(
            train[train_labels == label], test, components, centered
        )
        for label in classes
    ]
    predicted = classes[np.argmin(residuals, axis=0)]
    return float(np.mean(predicted == test_labels))


def knn_accuracy(
    train_features, train_labels, test_features, test_labels, neighbors=5
):
    """Accuracy of the vote of the nearest training features.

    Euclidean distance, one vote a neighbor; on the sphere the same as cosine.
    Equal votes go to the smallest label.

    Args:
        train_features: Array of shape `(n, d)`.
        train_labels: Integers of shape `(n,)`, -1 for unlabelled.
        test_features: Array of shape `(m, d)`.
        test_labels: Integers of shape `(m,)`, -1 for unlabelled.
        neighbors: Integer, at most the labelled training rows. Defaults to 5.

    Returns:
        A float in `[0, 1]`.

    Raises:
        ValueError: If shapes do not match, no row is labelled, features are
            not finite, or there are fewer training rows than `neighbors`.
    """
    from sklearn.neighbors import KNeighborsClassifier

    train, train_labels, test, test_labels = _labelled_sets(
        train_features, train_labels, test_features, test_labels
    )
    if not 1 <= neighbors <= len(train):
        raise ValueError(
            "`neighbors` should be at least 1 and at most the number of "
            f"labelled training rows. Received: neighbors={neighbors}, "
            f"rows={len(train)}"
        )
    classifier = KNeighborsClassifier(n_neighbors=neighbors)
    classifier.fit(train, train_labels)
    return float(classifier.score(test, test_labels))


def linear_probe_accuracy(
    train_features, train_labels, test_features, test_labels
):
    """Accuracy of multinomial logistic regression on the features.

    Every feature is standardised on the training set, so that the result does
    not depend on their scale; then scikit-learn's `LogisticRegression` with
    its default penalty `C = 1` and at most 1000 iterations.

    Args:
        train_features: Array of shape `(n, d)`.
        train_labels: Integers of shape `(n,)`, -1 for unlabelled; two classes
            or more.
        test_features: Array of shape `(m, d)`.
        test_labels: Integers of shape `(m,)`, -1 for unlabelled.

    Returns:
        A float in `[0, 1]`.

    Raises:
        ValueError: If shapes do not match, no row is labelled, features are
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
            "`train_labels` should name two classes or more. Received: only "
            f"class {train_labels[0]}"
        )
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    probe.fit(train, train_labels)
    return float(probe.score(test, test_labels))


def _subspace_residual(examples, features, components, centered):
    mean = np.mean(examples, axis=0) if centered else 0.0
    _, singular_values, basis = np.linalg.svd(
        examples - mean, full_matrices=False
    )
    tolerance = np.finfo("float32").eps * np.linalg.norm(examples)
    basis = basis[:components][singular_values[:components] > tolerance]
    deviations = features - mean
    residual = deviations - deviations @ basis.T @ basis
    return np.linalg.norm(residual, axis=1)


def _labelled_sets(train_features, train_labels, test_features, test_labels):
    train, train_labels = _labelled("train", train_features, train_labels)
    test, test_labels = _labelled("test", test_features, test_labels)
    if train.shape[1] != test.shape[1]:
        raise ValueError(
            "`train_features` and `test_features` should have as many "
            f"columns. Received: {train.shape[1]} and {test.shape[1]}"
        )
    return train, train_labels, test, test_labels


def _labelled(split, features, labels):
    features = np.asarray(features, dtype="float64")
    labels = np.asarray(labels)
    if features.ndim != 2 or labels.shape != features.shape[:1]:
        raise ValueError(
            f"`{split}_features` and `{split}_labels` should have shapes "
            f"(n, d) and (n,). Received: {features.shape} and {labels.shape}"
        )
    known = labels != -1
    features, labels = features[known], labels[known]
    if not len(labels):
        raise ValueError(
            f"`{split}_labels` should label at least one row. Received: "
            f"{len(known)} rows, all unlabelled (-1)"
        )
    if not np.all(np.isfinite(features)):
        raise ValueError(
            f"`{split}_features` should be finite. Received: "
            f"{np.sum(~np.isfinite(features))} non-finite entries"
        )
    return features, labels
