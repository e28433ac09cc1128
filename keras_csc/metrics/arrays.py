"""What metrics take: matrices of features, labels and sets of images."""

import numpy as np

from keras_csc.validation import check_finite


def as_array(name, values, sizes, dtype="float64", rows=1):
    """A finite array that is not empty.

    Args:
        name: str, what to call `values` in an error.
        values: array or tensor.
        sizes: tuple of an int for every axis, or of a name for any size.
        dtype: of the array.
        rows: int, the least length.
    """
    values = np.asarray(values, dtype)
    fits = values.ndim == len(sizes) and values.size and len(values) >= rows
    if not fits or any(
        size != expected and not isinstance(expected, str)
        for size, expected in zip(values.shape, sizes)
    ):
        raise ValueError(
            f"`{name}` must have shape ({', '.join(map(str, sizes))}), and a "
            f"length of at least {rows}. Received: shape={values.shape}"
        )
    check_finite(name, values)
    return values


def as_images(name, values, sizes=("n", "height", "width", "channels")):
    """`as_array` of float32 images."""
    return as_array(name, values, sizes, "float32")


def as_matrix(name, values, rows=1, columns="d"):
    """`as_array` of so many columns and at least so many rows."""
    return as_array(name, values, ("n", columns), rows=rows)


def as_labelled(features, labels, prefix="", columns="d"):
    """The labelled rows of features, as of `as_matrix`, and their labels.

    Args:
        features: array of shape `(n, d)`.
        labels: ints of shape `(n,)`, -1 for unlabelled.
        prefix: str, in front of the names in an error.
        columns: int, or `"d"` for any.
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


def labelled_sets(train_features, train_labels, test_features, test_labels):
    """`as_labelled` of two sets, in this order."""
    train = as_labelled(train_features, train_labels, "train_")
    columns = train[0].shape[1]
    return *train, *as_labelled(test_features, test_labels, "test_", columns)
