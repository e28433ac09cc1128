"""Classifiers on frozen features: what the features know of the classes."""

import numpy as np
from keras import ops
from scipy import linalg

from keras_csc.metrics.arrays import as_labelled
from keras_csc.metrics.arrays import as_matrix
from keras_csc.metrics.arrays import labelled_sets


def principal_directions(examples, components, mean=0.0):
    """First right singular vectors of features, of norm one.

    Args:
        examples: Float64 array of shape `(n, d)`.
        components: int, most directions to return.
        mean: array of shape `(d,)` to subtract from the rows. Defaults to 0.

    Returns:
        An array of shape `(k, d)` with orthonormal rows, where `k` is at most
        `components` and the rank of `examples - mean` to the precision that
        `examples` have in float32.
    """
    _, singular_values, directions = np.linalg.svd(
        examples - mean, full_matrices=False
    )
    tolerance = np.finfo("float32").eps * np.linalg.norm(examples)
    return directions[:components][singular_values[:components] > tolerance]


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
    features have rank; a class of few examples has a smaller subspace. A test
    example whose class has no training example counts as an error.

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

    Reference:
        - [Chan et al., 2022, ReduNet](
          https://arxiv.org/abs/2105.10446)
        - [Dai et al., 2022, CTRL](https://arxiv.org/abs/2111.06636)
    """
    *train, test, labels = labelled_sets(
        train_features, train_labels, test_features, test_labels
    )
    several = np.ndim(components) > 0
    tried = components if several else [components]
    distances, classes = _subspace_distances(*train, test, tried, centered)
    predicted = classes[np.argmin(distances, axis=-1)]
    found = np.mean(predicted == labels, axis=-1).tolist()
    return found if several else found[0]


def subspace_distances(
    train_features, train_labels, features, components=10, centered=False
):
    """Distances of features from the subspace of every class.

    `‖(I - V_j V_jᵀ)(z - m_j)‖₂`. `nearest_subspace_accuracy` takes the smallest
    distance, and explains the arguments.

    Args:
        train_features, train_labels, components, centered: as there.
        features: array of shape `(m, d)`.

    Returns:
        A tuple of the float64 array `(m, classes)` and the classes
        `(classes,)`, in the order of their labels.
    """
    train = as_labelled(train_features, train_labels, "train_")
    features = as_matrix("features", features, columns=train[0].shape[1])
    distances, classes = _subspace_distances(
        *train, features, [components], centered
    )
    return distances[0], classes


def subspace_angles(features, labels, components=10):
    """Principal angles between the subspaces of every two classes.

    `cos θ_ijk = σ_k(V_iᵀ V_j)`, with `V_j` the first `components` right
    singular vectors of the features of class `j`: subspaces through the
    origin, as in `nearest_subspace_accuracy`. Rate reduction drives the
    subspaces of different classes to be orthogonal, all angles to `π/2`.
    In `d` dimensions two subspaces of more than `d/2` must share directions,
    which are at angle 0.

    Args:
        features: array of shape `(n, d)`.
        labels: ints of shape `(n,)`, -1 for unlabelled.
        components: int in `[1, d]`, dimension of the subspaces. Defaults
            to 10.

    Returns:
        A float64 array of shape `(classes, classes, components)` of radians in
        `[0, π/2]`, largest angle first, classes in the order of their labels;
        symmetric, and 0 from a class to itself.

    References:
        - [Björck & Golub, 1973](https://doi.org/10.2307/2005662)
        - [Knyazev & Argentati, 2002](
          https://doi.org/10.1137/S1064827500377332), the algorithm of
          `scipy.linalg.subspace_angles`
    """
    features, labels = as_labelled(features, labels)
    bases = []
    for label in np.unique(labels):
        basis = principal_directions(features[labels == label], components)
        if not 0 < len(basis) == components:
            raise ValueError(
                "The features of every class must span at least `components` "
                f"directions. Received: components={components}, and class "
                f"{label} of rank {len(basis)}"
            )
        bases.append(basis.T)
    angles = np.zeros((len(bases), len(bases), components))
    for i, basis in enumerate(bases):
        for j in range(i):
            angles[i, j] = linalg.subspace_angles(basis, bases[j])
            angles[j, i] = angles[i, j]
    return angles


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
        _residuals(train[labels == label], features, components, centered)
        for label in classes
    ]
    return np.stack(distances, axis=-1), classes


def _residuals(examples, features, components, centered):
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
