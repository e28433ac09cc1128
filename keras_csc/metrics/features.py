"""How features compare, and what they know of the classes."""

import numpy as np
from scipy.stats import entropy
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.preprocessing import normalize

from keras_csc.validation import check_finite
from keras_csc.validation import check_integer


def rows(features):
    """Features of every image as one row of norm 1.

    The places of a map follow each other, divided by the root of their number.
    So the product of two rows is the mean of the products of their places.

    Args:
        features: array `(n, d)` or `(n, height, width, d)`.
    """
    flat = features.reshape(len(features), -1)
    places = flat.shape[1] // features.shape[-1]
    return flat / places**0.5 if places > 1 else flat


def labelled(features, labels):
    """The labelled rows of features, in float64, and their labels."""
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
    features, labels = features[known].astype("float64"), labels[known]
    check_finite("features", features)
    if labels.dtype.kind not in "iu" or labels.min() < 0:
        raise ValueError(
            "`labels` must be integers of at least 0, or -1 for unlabelled. "
            f"Received: {labels.dtype.name}, from {labels.min()}"
        )
    return features, labels


def retrieval_rate(features, reconstructed_features):
    """Share of images whose reconstruction has its own image as nearest.

    `mean_i [‖ẑ_i - z_i‖ < ‖ẑ_i - z_j‖ for all j ≠ i]`, the sample-wise
    consistency of the transcription: an image comes back as itself, not as
    another of its kind. On the sphere the nearest row also has the largest
    cosine. A tie counts as a miss, so that collapsed features score 0. For
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
    """Both arrays as rows, in float32 at least."""
    pair = np.asarray(features), np.asarray(reconstructed_features)
    if pair[0].shape != pair[1].shape:
        raise ValueError(
            "Both arrays must have the same shape. "
            f"Received: {pair[0].shape} and {pair[1].shape}"
        )
    dtype = np.result_type(*pair, "float32")
    return [
        each.reshape(len(each), -1).astype(dtype, copy=False) for each in pair
    ]


# === Classes ===


def class_similarity(features, labels):
    """Mean magnitudes of the cosines between features of pairs of classes.

    Args:
        features: array of shape `(n, d)`.
        labels: array of shape `(n,)`.

    Returns:
        A tuple of the float array `(classes, classes)` in `[0, 1]` and the
        classes. For a class with itself it is the mean over pairs of different
        features, NaN if the class has only one.
    """
    features = normalize(np.asarray(features, "float32"))
    classes, numbers, counts = np.unique(
        labels, return_inverse=True, return_counts=True
    )
    members = np.eye(len(classes), dtype="float32")[numbers]
    # A class at a time: all pairs of many features are too many to hold.
    sums = [
        np.abs(features[number == numbers] @ features.T).sum(0) @ members
        for number in range(len(classes))
    ]
    own = np.bincount(numbers, np.sum(np.square(features), axis=1))
    pairs = np.outer(counts, counts) - np.diag(counts)
    means = (np.array(sums) - np.diag(own)) / np.where(pairs > 0, pairs, np.nan)
    return np.clip(means, 0, 1), classes


def principal_directions(examples, components, mean=0.0):
    """First right singular vectors of `examples - mean`, as rows.

    There are at most `components`, and no more than the rank to the precision
    that the examples have in float32.
    """
    _, singular_values, directions = np.linalg.svd(
        examples - mean, full_matrices=False
    )
    tolerance = np.finfo("float32").eps * np.linalg.norm(examples)
    return directions[:components][singular_values[:components] > tolerance]


def nearest_subspace_accuracy(
    train_features, train_labels, test_features, test_labels, components=10
):
    """Accuracy of assigning features to the nearest class subspace.

    `ŷ(z) = argmin_j ‖(I - V_j V_jᵀ) z‖₂`, with `V_j` the first right singular
    vectors of the training features of class `j`. They span subspaces through
    the origin, as rate reduction promotes. The CTRL parents report it with 10
    components.

    The subspace of a class has at most the rank of its training features. It is
    smaller for a class of few examples. A test example whose class has no
    training example counts as an error.

    Args:
        train_features: array of shape `(n, d)`.
        train_labels: ints of shape `(n,)`, -1 for unlabelled.
        test_features: array of shape `(m, d)`.
        test_labels: ints of shape `(m,)`, -1 for unlabelled.
        components: int in `[1, d - 1]`, dimension of the subspaces.

    Returns:
        A float in `[0, 1]`.

    Reference:
        - [Chan et al., 2022, ReduNet](
          https://arxiv.org/abs/2105.10446)
        - [Dai et al., 2022, CTRL](https://arxiv.org/abs/2111.06636)
    """
    train, train_labels = labelled(train_features, train_labels)
    test, test_labels = labelled(test_features, test_labels)
    check_integer(1, train.shape[1] - 1, components=components)
    classes = np.unique(train_labels)
    distances = []
    for label in classes:
        basis = principal_directions(train[train_labels == label], components)
        rest = test - test @ basis.T @ basis
        distances.append(np.linalg.norm(rest, axis=1))
    predicted = classes[np.argmin(distances, axis=0)]
    return float(np.mean(predicted == test_labels))


def knn_accuracy(
    train_features,
    train_labels,
    test_features,
    test_labels,
    neighbors=5,
    centered=False,
):
    """Accuracy of the vote of the nearest training features.

    The distance is Euclidean: on the sphere its order is the cosine's. A
    neighbor has one vote. Equal votes go to the smallest label.

    What all features share hides from cosines how they differ. `centered=True`
    compares `(z - m) / ‖z - m‖`, with `m` the mean of the training features.

    Args:
        train_features, train_labels, test_features, test_labels: as in
            `nearest_subspace_accuracy`.
        neighbors: int, at most the labelled training rows.
        centered: bool, whether features are centred and scaled to norm one. A
            feature that is the mean becomes zero.

    Returns:
        A float in `[0, 1]`.

    Reference:
        - [Wang et al., 2019, SimpleShot](https://arxiv.org/abs/1911.04623),
          on centred features of norm one ("CL2N")
    """
    train, train_labels = labelled(train_features, train_labels)
    test, test_labels = labelled(test_features, test_labels)
    if centered:
        mean = np.mean(train, axis=0)
        train, test = normalize(train - mean), normalize(test - mean)
    classifier = KNeighborsClassifier(n_neighbors=neighbors)
    classifier.fit(train, train_labels)
    return float(classifier.score(test, test_labels))


def linear_probe_accuracy(
    train_features, train_labels, test_features, test_labels
):
    """Accuracy of multinomial logistic regression on the features.

    Every feature is standardised on the training set, so that the result does
    not depend on its scale. The classifier is scikit-learn's
    `LogisticRegression` with its default penalty `C = 1`, a tolerance of 1e-3
    and at most 200 iterations.

    Args:
        train_features, train_labels, test_features, test_labels: as in
            `nearest_subspace_accuracy`. The training labels name two classes
            or more.

    Returns:
        A float in `[0, 1]`.
    """
    train, train_labels = labelled(train_features, train_labels)
    test, test_labels = labelled(test_features, test_labels)
    probe = make_pipeline(
        StandardScaler(), LogisticRegression(tol=1e-3, max_iter=200)
    )
    probe.fit(train, train_labels)
    return float(probe.score(test, test_labels))
