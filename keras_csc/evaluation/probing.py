"""What features know of the classes, as figures."""

import numpy as np

from keras_csc import metrics
from keras_csc.metrics.features import rows

NEIGHBORS = 5
COMPONENTS = 10  # dimensions of the subspaces of classes, at most


def probe_figures(train, test, regenerated):
    """Accuracies of simple classifiers of features.

    All are `None` without two classes. Nearest subspaces have 10 dimensions, or
    `d - 1` if that is fewer; they are `None` for a single feature. Neighbours
    are `None` if there are too few labelled training rows.

    Args:
        train, test: pairs of features `(n, d)`, or maps `(n, height, width,
            d)`, and of labels, ints `(n,)`, -1 for unlabelled.
        regenerated: array, features of the regenerated test images.

    Returns:
        Dict.
    """
    train, test = ((rows(z), labels) for z, labels in (train, test))
    features, labels = test
    known = all(
        len(np.unique(labels[labels >= 0])) > 1 for _, labels in (train, test)
    )
    enough = known and np.sum(train[1] >= 0) >= NEIGHBORS
    most = min(COMPONENTS, features.shape[1] - 1) if known else 0

    def nearest(features):
        if most:
            return metrics.nearest_subspace_accuracy(
                *train, features, labels, most
            )

    return {
        "nearest_subspace_accuracy": nearest(features),
        "nearest_subspace_components": most or None,
        "reconstructed_nearest_subspace_accuracy": nearest(rows(regenerated)),
        "centered_knn_accuracy": (
            metrics.knn_accuracy(*train, *test, NEIGHBORS, centered=True)
            if enough
            else None
        ),
        "linear_probe_accuracy": (
            metrics.linear_probe_accuracy(*train, *test) if known else None
        ),
    }
