"""Coding rates of features, and the rate reductions made of them.

Everything is a function of second moments `ZᵀZ` and counts `n`, which add up
over parts of a batch: a batch that is spread over devices has the coding rate
of its summed moments.
"""

import keras
from keras import ops

from keras_csc.ops.tensors import at_least_float32
from keras_csc.ops.tensors import on_tensorflow
from keras_csc.validation import check_number

# In a fading memory the count of a class that does not come again falls to 0.
LEAST_COUNT = 1e-6


def second_moment(features):
    """Returns `ZᵀZ`, shape `(d, d)`, in at least float32.

    Args:
        features: tensor `Z` `(n, d)`, one row per example.
    """
    features = _rows(features)
    return ops.matmul(ops.transpose(features), features)


def class_moments(features, labels, num_classes):
    """Returns the second moment and the count of every class.

    Args:
        features: tensor `Z` `(n, d)`.
        labels: int tensor `(n,)`. Rows whose label is not in `[0,
            num_classes)`, as -1, are of no class.
        num_classes: int.

    Returns:
        `(moments, counts)`: `(num_classes, d, d)` and `(num_classes,)`; both
        exactly 0 for a class that is absent.

    Raises:
        ValueError: for features that are no rows, or labels that are not an
            integer for every row.
    """
    features, labels = _rows(features), ops.convert_to_tensor(labels)
    shape, count = labels.shape, features.shape[0]
    if len(shape) != 1 or None not in (shape[0], count) and shape[0] != count:
        raise ValueError(
            "`labels` must have one dimension, and a label for every row of "
            f"`features`, {count}. Received: labels of shape {tuple(shape)}"
        )
    # A type that holds every label and every class.
    dtype = keras.backend.standardize_dtype(labels.dtype)
    wide = keras.backend.result_type(dtype, "int32")
    if keras.backend.is_float_dtype(wide):
        raise ValueError(f"`labels` must be integers. Received: {dtype}")
    labels = ops.cast(labels, wide)
    classes = ops.arange(num_classes, dtype=wide)
    members = ops.cast(ops.equal(labels[:, None], classes), features.dtype)
    # One product for all classes: of all features, and of each class's.
    dimension = features.shape[1]
    of_classes = ops.reshape(
        members[:, :, None] * features[:, None, :],
        (-1, num_classes * dimension),
    )
    products = ops.matmul(ops.transpose(features), of_classes)
    products = ops.reshape(products, (dimension, num_classes, dimension))
    return ops.transpose(products, (1, 0, 2)), ops.sum(members, 0)


def _rows(features):
    """Features, at least float32; raises `ValueError` if they are no rows."""
    features = at_least_float32(features)
    if len(features.shape) != 2:
        raise ValueError(
            "`features` must have the shape (n, d). "
            f"Received: shape={tuple(features.shape)}"
        )
    return features


def moment_coding_rate(moment, count, epsilon=0.5):
    """Coding rate `½ logdet(I + d/(n ε) ZᵀZ)` from `ZᵀZ` and `n`, in nats.

    Args:
        moment: tensor `(..., d, d)`.
        count: number or tensor `(...)`, at least 0, not necessarily whole.
            Where it is 0, the rate is exactly 0.
        epsilon: distortion, `> 0`; stands for `ε²` of the paper, as in the
            parents' code.

    Returns:
        Tensor `(...)`, at least float32: the log-determinant is taken by a
        Cholesky factorisation, which no half precision offers.

    Reference:
        Yu et al., Learning diverse and discriminative representations via the
        principle of maximal coding rate reduction, NeurIPS 2020, section 2.
    """
    if isinstance(epsilon, (int, float)):
        check_number("(0, inf)", epsilon=epsilon)
    moment, dimension = at_least_float32(moment), moment.shape[-1]
    count = ops.maximum(ops.cast(count, moment.dtype), LEAST_COUNT)
    scale = dimension / (count * epsilon)
    identity = ops.eye(dimension, dtype=moment.dtype)
    half_logdet = on_tensorflow("half_logdet", _half_logdet)
    return half_logdet(identity + scale[..., None, None] * moment)


def _half_logdet(matrices):
    """`½ logdet` of positive definite matrices `(..., d, d)`."""
    factor = ops.cholesky(matrices)
    return ops.sum(ops.log(ops.diagonal(factor, axis1=-2, axis2=-1)), -1)


def coding_rate(features, epsilon=0.5):
    """Coding rate `R(Z) = ½ logdet(I + d/(n ε) ZᵀZ)` of rows, in nats.

    Args:
        features: tensor `Z` `(n, d)`, usually rows on the unit sphere.
        epsilon: distortion, `> 0`; see `moment_coding_rate`.

    Returns:
        Scalar tensor, at least 0. It is NaN where `d/(n ε) λmax(ZᵀZ)` is above
        about `1e7`, as float32 can't factor such a matrix; other backends than
        TensorFlow raise a `ValueError`. Rows of norm 1 are far from that.
    """
    count = ops.shape(features)[0]
    return moment_coding_rate(second_moment(features), count, epsilon)


def rate_reduction(features, labels, num_classes, epsilon=0.5):
    """Rate reduction `ΔR(Z | y) = R(Z) - Σ_j (n_j/n) R(Z_j)`, in nats.

    Args:
        features: tensor `Z` `(n, d)`.
        labels: int tensor `(n,)`, as in `class_moments`: rows of no class are
            left out.
        num_classes: int.
        epsilon: distortion, `> 0`; see `moment_coding_rate`.

    Returns:
        Scalar tensor, at least 0. It is large where features of a class are
        together, and features of different classes are apart.

    Reference:
        Yu et al., NeurIPS 2020, eq. 8.
    """
    moments, counts = class_moments(features, labels, num_classes)
    return moment_rate_reduction(moments, counts, epsilon)


def moment_rate_reduction(moments, counts, epsilon=0.5):
    """`rate_reduction` from the `class_moments`."""
    total = ops.sum(counts, -1)
    whole = moment_coding_rate(ops.sum(moments, 0), total, epsilon)
    rates = moment_coding_rate(moments, counts, epsilon)
    return whole - ops.sum(counts / ops.maximum(total, LEAST_COUNT) * rates, -1)


def rate_distance(features, others, epsilon=0.5):
    """Distance of two sets, `ΔR(Z, Ẑ) = R([Z; Ẑ]) - ½R(Z) - ½R(Ẑ)`.

    Args:
        features: tensor `Z` `(n, d)`.
        others: tensor `Ẑ` `(m, d)`, usually of as many rows.
        epsilon: distortion, `> 0`; see `moment_coding_rate`.

    Returns:
        Scalar tensor in nats. For two sets of as many rows it is at least 0,
        and 0 where their second moments are the same.

    Reference:
        Dai et al., CTRL: closed-loop transcription to an LDR via minimaxing
        rate reduction, Entropy 2022, eq. 10.
    """
    return moment_rate_distance(
        second_moment(features),
        second_moment(others),
        ops.shape(features)[0],
        epsilon,
        ops.shape(others)[0],
    )


def moment_rate_distance(moment, other, count, epsilon=0.5, other_count=None):
    """`rate_distance` from the second moments of two sets of `count` rows.

    Moments `(..., d, d)` with counts `(...)` give distances `(...)`. The
    second set may have another `other_count`.
    """
    if other_count is None:
        other_count = count
    rates = moment_coding_rate(
        ops.stack([moment + other, moment, other]),
        ops.stack([count + other_count, count, other_count]),
        epsilon,
    )
    return rates[0] - 0.5 * rates[1] - 0.5 * rates[2]
