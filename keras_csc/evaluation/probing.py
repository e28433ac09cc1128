"""What features and codes know of the classes, as figures."""

import numpy as np

from keras_csc import metrics
from keras_csc.evaluation import passes
from keras_csc.ops.tensors import to_sphere

NEIGHBORS = 5
# Smaller dimensions of the subspaces of classes, which are tried, too.
COMPONENTS = 1, 2, 5
FIGURES = (
    "nearest_subspace_accuracy",
    "nearest_subspace_components",
    "nearest_subspace_by_components",
    "knn_accuracy",
    "linear_probe_accuracy",
    "centered_knn_accuracy",
    "reconstructed_nearest_subspace_accuracy",
    "class_effective_rank",
    "subspace_angle",
    "smallest_subspace_angle",
    "subspace_components",
)


def probe_figures(train_features, train_labels, features, labels, again):
    """What features know of the classes; `None` without two of them.

    Args:
        train_features, features: arrays `(n, d)` and `(m, d)`.
        train_labels, labels: ints `(n,)` and `(m,)`, -1 for unlabelled.
        again: array `(m, d)`, features of the regenerated test images.

    Returns:
        Dict with `feature_accuracies`, and of the test features the mean over
        classes of the effective rank, `None` if one has only zeros, and the
        angles between their subspaces in degrees: the mean, and the mean over
        pairs of classes of the smallest.
    """
    figures = dict.fromkeys(FIGURES)
    if not has_classes(train_labels, labels):
        return figures
    figures.update(
        feature_accuracies(
            train_features, train_labels, features, labels, again
        )
    )
    ranks = [
        metrics.effective_rank(features[labels == label])
        for label in np.unique(labels[labels >= 0])
    ]
    if min(ranks) > 0:
        figures["class_effective_rank"] = float(np.mean(ranks))
    angles = class_angles(features, labels)
    if angles is not None:
        pairs = angles[np.triu_indices(len(angles), 1)]
        figures["subspace_angle"] = float(np.mean(pairs))
        figures["smallest_subspace_angle"] = float(np.mean(pairs[:, -1]))
        figures["subspace_components"] = angles.shape[-1]
    return figures


def part_figures(size, train_features, train_labels, features, labels, again):
    """`feature_accuracies` of the part of the features for the classes.

    Args:
        size: int, `class_features` of the game; 0 for none.
        train_features, features, again: arrays as of `probe_figures`, or maps
            `(n, height, width, d)`.

    Returns:
        Dict with the part's size as `features`, too; `None` without a part or
        two classes.
    """
    if not size or not has_classes(train_labels, labels):
        return None
    train, part, again = (
        class_part_of(each, size) for each in (train_features, features, again)
    )
    return {
        "features": size,
        **feature_accuracies(train, train_labels, part, labels, again),
    }


def class_part_of(features, size):
    """The part of features that the game gives the classes, as rows."""
    return passes.rows(np.asarray(to_sphere(features[..., :size])))


def feature_accuracies(train_features, train_labels, features, labels, again):
    """`accuracies` of features on the sphere, and two more.

    Returns:
        Dict with the `nearest_subspace_components`, `centered_knn_accuracy`,
        of centred features that are scaled to the sphere again, and
        `reconstructed_nearest_subspace_accuracy`, of the features of
        regenerated images and the subspaces of training features.
    """
    train = train_features, train_labels
    components = subspace_components(features)
    return {
        **accuracies(*train, features, labels),
        "nearest_subspace_components": components,
        "centered_knn_accuracy": _knn_accuracy(
            *train, features, labels, centered=True
        ),
        "reconstructed_nearest_subspace_accuracy": components
        and metrics.nearest_subspace_accuracy(
            *train, again, labels, components=components
        ),
    }


def accuracies(train_features, train_labels, features, labels):
    """Accuracies of simple classifiers of features.

    Nearest subspaces have `subspace_components` dimensions and, by their
    number, some fewer; `None` for a single feature. Neighbours are `None` if
    there are too few labelled training rows.
    """
    parts = (train_features, train_labels, features, labels)
    components = subspace_components(features)
    tried = [c for c in COMPONENTS if c < (components or 0)]
    found = [None]
    if components:
        tried.append(components)
        found = metrics.nearest_subspace_accuracy(*parts, components=tried)
    return {
        "nearest_subspace_accuracy": found[-1],
        "nearest_subspace_by_components": dict(zip(map(str, tried), found)),
        "knn_accuracy": _knn_accuracy(*parts),
        "linear_probe_accuracy": metrics.linear_probe_accuracy(*parts),
    }


def subspace_components(features):
    """Dimension of the classes' subspaces: 10, or all directions but one.

    `None` for a single feature.
    """
    return min(10, features.shape[1] - 1) or None


def _knn_accuracy(train_features, train_labels, *test, centered=False):
    if np.count_nonzero(train_labels >= 0) < NEIGHBORS:
        return None
    return metrics.knn_accuracy(
        train_features, train_labels, *test, NEIGHBORS, centered
    )


def class_angles(features, labels):
    """`metrics.subspace_angles`, in degrees; `None` if a class has collapsed.

    Of as many components as the classes have room for, at most 10.
    """
    examples = np.unique(labels[labels >= 0], return_counts=True)[1]
    components = int(min(10, features.shape[1] // 2, examples.min()))
    try:
        return np.degrees(metrics.subspace_angles(features, labels, components))
    except ValueError:
        return None


def has_classes(*sets):
    """Whether each of the arrays of labels names two classes or more."""
    return all(len(np.unique(labels[labels >= 0])) > 1 for labels in sets)


def code_probe_figures(model, train_images, train_labels, images, labels):
    """Accuracies of simple classifiers of the codes of every stage.

    Of positive and negative parts of the codes, each averaged over quadrants;
    `None` without two classes. Every accuracy is a list, by stage.
    """
    if not has_classes(train_labels, labels):
        return None
    train_codes, codes = (
        passes.pooled_codes(model, each) for each in (train_images, images)
    )
    found = [
        accuracies(train, train_labels, test, labels)
        for train, test in zip(train_codes, codes)
    ]
    return {
        "codes": "positive and negative parts, means over quadrants",
        "numbers": [code.shape[1] for code in codes],
        **{name: [each[name] for each in found] for name in found[0]},
    }
