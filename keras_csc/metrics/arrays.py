"""What metrics take: matrices of features, labels and sets of images."""

import numpy as np

from keras_csc.validation import check_finite


def as_matrix(name, values, rows=1, columns=None):
    """Finite float64 matrix.

    Args:
        name: str, what to call `values` in an error.
        values: array or tensor `(n, d)`.
        rows: int, the least `n`.
        columns: int, `d`; `None` for any.

    Raises:
        ValueError: if `values` is not such a matrix.
    """
    values = np.asarray(values, dtype="float64")
    if (
        values.ndim != 2
        or not len(values) >= rows
        or values.shape[1] != (columns or max(values.shape[1], 1))
    ):
        raise ValueError(
            f"`{name}` must be a matrix of at least {rows} rows and of "
            f"{columns or 'some'} columns. Received: shape={values.shape}"
        )
    check_finite(name, values)
    return values


def as_labelled(features, labels, prefix="", columns=None):
    """The labelled rows of features, as of `as_matrix`, and their labels.

    Args:
        features: array of shape `(n, d)`.
        labels: ints of shape `(n,)`, -1 for unlabelled.
        prefix: str, in front of the names in an error.
        columns: int, `d`; `None` for any.

    Raises:
        ValueError: if shapes do not match, no row is labelled or labelled
            features are not finite.
    """
    features, labels = np.asarray(features), np.asarray(labels)
    if labels.shape != features.shape[:1]:
        raise ValueError(
            f"`{prefix}features` and `{prefix}labels` must have shapes "
            f"(n, d) and (n,). Received: {features.shape} and {labels.shape}"
        )
    known = labels != -1
    if not np.any(known):
        raise ValueError(
            f"`{prefix}labels` must label at least one row. Received: "
            f"{len(labels)} rows, all unlabelled (-1)"
        )
    features = as_matrix(f"{prefix}features", features[known], columns=columns)
    return features, labels[known]


def as_images(name, values, image_shape=None):
    """Finite float32 array `(n, height, width, channels)`.

    Args:
        name: str, what to call `values` in an error.
        values: array or tensor.
        image_shape: `(height, width, channels)`; `None` for any.

    Raises:
        ValueError: if `values` is not such an array.
    """
    values = np.asarray(values, dtype="float32")
    shape = values.shape
    if len(shape) != 4 or 0 in shape or shape[1:] != (image_shape or shape[1:]):
        expected = image_shape or ("height", "width", "channels")
        raise ValueError(
            f"`{name}` must have shape (n, {', '.join(map(str, expected))}). "
            f"Received: shape={shape}"
        )
    check_finite(name, values)
    return values
