"""The unit sphere that features lie on."""

from keras import ops

LEAST_SQUARE = 1e-12


def to_sphere(features):
    """`z / ‖z‖` of every row; a row of zeros stays what it is.

    Its gradient is finite everywhere: that of `keras.ops.normalize` is NaN for
    a row of zeros.

    Args:
        features: tensor `(n, d)`.

    Returns:
        Tensor `(n, d)`, rows of norm 1.
    """
    squares = ops.sum(ops.square(features), -1, keepdims=True)
    return features / ops.sqrt(ops.maximum(squares, LEAST_SQUARE))
