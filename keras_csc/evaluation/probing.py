"""What features know of the classes, as figures."""

import numpy as np

from keras_csc import metrics
from keras_csc.metrics.features import rows
from keras_csc.ops.tensors import to_sphere

NEIGHBORS = 5
COMPONENTS = 10  # dimensions of the subspaces of classes, at most


def probe_figures(train, test, again):
    """`accuracies` of all of the features.

    Args:
        train, test: pairs of features `(n, d)`, or maps `(n, height, width,
            d)`, and of labels, ints `(n,)`, -1 for unlabelled.
        again: array, features of the regenerated test images.

    Returns:
        Dict, as in `accuracies`.
    """
    train, test = ((rows(each), labels) for each, labels in (train, test))
    return accuracies(train, test, rows(again))


def part_figures(size, train, test, again):
    """`accuracies` of the part of the features for the classes, and its size.

    It is `None` without such a part or without two classes. `size` is the
    game's `class_features`.
    """
    if not size or not has_classes(train, test):
        return None
    train, test = (
        (class_part_of(features, size), labels)
        for features, labels in (train, test)
    )
    again = class_part_of(again, size)
    return {"features": size, **accuracies(train, test, again)}


def class_part_of(features, size):
    """The part of features that the game gives the classes, as rows."""
    return rows(np.asarray(to_sphere(features[..., :size])))


def accuracies(train, test, again):
    """Accuracies of simple classifiers of features; see `probe_figures`.

    All are `None` without two classes. Nearest subspaces have 10 dimensions, or
    `d - 1` if that is fewer; they are `None` for a single feature. Neighbours
    are `None` if there are too few labelled training rows.
    """
    (features, labels), known = test, has_classes(train, test)
    enough = known and np.sum(train[1] >= 0) >= NEIGHBORS
    most = min(COMPONENTS, features.shape[1] - 1) if known else 0

    def nearest(features):
        if most:
            return metrics.nearest_subspace_accuracy(
                *train, features, labels, most
            )

    def neighbors(centered):
        if enough:
            return metrics.knn_accuracy(*train, *test, NEIGHBORS, centered)

    return {
        "nearest_subspace_accuracy": nearest(features),
        "nearest_subspace_components": most or None,
        "reconstructed_nearest_subspace_accuracy": nearest(again),
        "knn_accuracy": neighbors(centered=False),
        "centered_knn_accuracy": neighbors(centered=True),
        "linear_probe_accuracy": (
            metrics.linear_probe_accuracy(*train, *test) if known else None
        ),
    }


def has_classes(*sets):
    """Whether each pair of features and labels has two classes or more."""
    return all(len(np.unique(labels[labels >= 0])) > 1 for _, labels in sets)
