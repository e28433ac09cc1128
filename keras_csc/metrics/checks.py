"""What the metrics demand of matrices of features and of labels."""

import numpy as np

from keras_csc.validation import check_finite


def as_matrix(name, values):
    """Finite float64 matrix `(n, d)` with rows and columns.

    Args:
        name: str, what to call `values` in an error.
        values: array or tensor.

    Raises:
        ValueError: if `values` is not such a matrix.
    """
    values = np.asarray(values, dtype="float64")
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(
            f"`{name}` must be a non-empty matrix (n, d). "
            f"Received: shape={values.shape}"
        )
    check_finite(name, values)
    return values


def as_matrices(**arguments):
    """Two matrices, as of `as_matrix`, of as many columns.

    Raises:
        ValueError: if they are not.
    """
    (first, second), names = arguments.values(), list(arguments)
    first, second = as_matrix(names[0], first), as_matrix(names[1], second)
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            f"`{names[0]}` and `{names[1]}` must have as many columns. "
            f"Received: {first.shape[1]} and {second.shape[1]}"
        )
    return first, second


def as_image_sets(**arguments):
    """Two finite float32 arrays `(n, height, width, channels)` of images.

    Raises:
        ValueError: if they are not, are empty, or of images of two shapes.
    """
    sets = []
    for name, values in arguments.items():
        values = np.asarray(values, dtype="float32")
        if values.ndim != 4 or 0 in values.shape:
            raise ValueError(
                f"`{name}` must have shape (n, height, width, channels). "
                f"Received: shape={values.shape}"
            )
        check_finite(name, values)
        sets.append(values)
    if sets[0].shape[1:] != sets[1].shape[1:]:
        raise ValueError(
            f"{' and '.join(f'`{name}`' for name in arguments)} must be of "
            f"one shape. Received: {sets[0].shape[1:]} and {sets[1].shape[1:]}"
        )
    return sets


def as_labelled(features, labels, prefix=""):
    """The labelled rows of features, in float64, and their labels.

    Args:
        features: array of shape `(n, d)`.
        labels: ints of shape `(n,)`, -1 for unlabelled.
        prefix: str, in front of the names in an error.

    Raises:
        ValueError: if shapes do not match, no row is labelled or labelled
            features are not finite.
    """
    features = np.asarray(features, dtype="float64")
    labels = np.asarray(labels)
    if features.ndim != 2 or labels.shape != features.shape[:1]:
        raise ValueError(
            f"`{prefix}features` and `{prefix}labels` must have shapes "
            f"(n, d) and (n,). Received: {features.shape} and {labels.shape}"
        )
    known = labels != -1
    features, labels = features[known], labels[known]
    if not len(labels):
        raise ValueError(
            f"`{prefix}labels` must label at least one row. Received: "
            f"{len(known)} rows, all unlabelled (-1)"
        )
    check_finite(f"{prefix}features", features)
    return features, labels
