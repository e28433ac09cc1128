"""Images, features and numbers as models take them, or an error.

An error is a `ValueError` if the value is known: eagerly, or as a static shape.
It is an `InvalidArgumentError` if the value is known only when a graph runs.
`EnsureShape` and `Assert` see to that; converters to other runtimes leave these
operations out.
"""

import contextlib
import warnings

import keras
import numpy as np
import tensorflow as tf

from keras_csc.replicas import num_replicas
from keras_csc.validation import plain
from keras_csc.validation import shown

# Height and width of the smallest image of an encoder of maps.
LEAST_SIZE = 8
LARGEST_PIXEL = 10.0  # absolute value, in noisy images
DOUBTED = 8  # so many images are hardly all brighter than mid grey


def as_images(images, image_shape):
    """Float images of the shape that a model is for.

    Args:
        images: `(batch, height, width, channels)`, floats in [-1, 1], or
            uint8 in 0..255, which are scaled to that.
        image_shape: `(height, width, channels)`; `None` for any height and
            width of 8 and more.

    Raises:
        ValueError: for another shape, no images, or another type.
    """
    if isinstance(images, keras.KerasTensor):
        return images
    images = _as_shaped("images", images, image_shape)
    if None in image_shape:
        images = _large_enough(images)
    if images.dtype == tf.uint8:
        return tf.cast(images, tf.float32) / 127.5 - 1.0
    if not images.dtype.is_floating:
        raise ValueError(
            "`images` must be floats in [-1, 1], or uint8 in 0..255. "
            f"Received: {images.dtype.name}"
        )
    return images


def checked_images(images, image_shape):
    """`as_images`; eagerly, noisy images must be in range, too."""
    checked = as_images(images, image_shape)
    if tf.executing_eagerly() and isinstance(checked, tf.Tensor):
        in_range(extremes(images), LARGEST_PIXEL)
    return checked


def _large_enough(images):
    """The images, once height and width are known to be `LEAST_SIZE`."""
    size = images.shape[1:3]
    if size.is_fully_defined():
        good = min(size) >= LEAST_SIZE
    else:
        size = tf.shape(images)[1:3]
        good = tf.reduce_all(size >= LEAST_SIZE)
    message = f"`images` must be of at least {LEAST_SIZE}×{LEAST_SIZE} pixels."
    return asserted(images, good, [f"{message} Received:", size])


def as_features(features, shape):
    """Float features `(batch, *shape)`; errors as in `as_images`."""
    features = _as_shaped("features", features, shape)
    if not features.dtype.is_floating:
        raise ValueError(
            f"`features` must be floats. Received: {features.dtype.name}"
        )
    return features


def _as_shaped(name, values, shape):
    """A tensor `(batch, *shape)` of at least one item."""
    values = tf.convert_to_tensor(values)
    check_shape(name, values.shape, shape)
    if not values.shape[1:].is_fully_defined():
        values = tf.ensure_shape(values, (None, *shape))
    return asserted(values, tf.not_equal(tf.size(values), 0), [_empty(name)])


def check_shape(name, received, shape):
    """Raises `ValueError` for a shape other than `(batch, *shape)`."""
    received = tf.TensorShape(received)
    expected = tf.TensorShape((None, *shape))
    if received.is_compatible_with(expected):
        return
    hint = ""
    if expected[1:].is_compatible_with(received):
        hint = f" One alone needs an axis for the batch: {name}[None]."
    free = iter(("batch", "height", "width"))
    sizes = [next(free) if n is None else str(n) for n in (None, *shape)]
    raise ValueError(
        f"`{name}` must have the shape ({', '.join(sizes)}). "
        f"Received: {tuple(received)}.{hint}"
    )


def _empty(name):
    """Message about an empty batch."""
    replicas = num_replicas()
    if replicas == 1:
        return f"`{name}` must hold at least one item: the batch is empty."
    return (
        f"One of the {replicas} replicas was given no image: a batch, likely "
        "the last, is too small. Use a `batch_size`, or a number of images, "
        f"that leaves a last batch divisible by {replicas}."
    )


def in_range(images, limit):
    """The images, once every one is known to be finite and in ±`limit`.

    Raises:
        ValueError: names the rows of the images that are not.
    """
    return _good_rows(
        images,
        tf.abs(images) <= limit,
        "`images` must be finite and in [-1, 1], or uint8 in 0..255; scale "
        f"floats of 0..255 by images / 127.5 - 1. Beyond {limit:g} there is:",
    )


def extremes(images):
    """The largest absolute pixel of every image of an array, for `in_range`.

    Makes no copy of the images. Bytes are in range: they have 0. Warns of
    floats that were likely scaled to [0, 1]; Python shows a warning once.
    """
    images = np.asarray(images)
    if images.dtype == "uint8":
        return np.zeros(len(images), "float32")
    low, high = images.min((1, 2, 3)), images.max((1, 2, 3))
    if len(images) >= DOUBTED and 0 <= low.min() < high.max() <= 1:
        warnings.warn(
            "`images` should be in [-1, 1], and all of them lie in [0, 1]. If "
            "they were scaled to that, give 2 * images - 1."
        )
    return np.maximum(high, -low)


def finite(features):
    """The features, once every row is known to be finite; see `in_range`."""
    return _good_rows(
        features,
        tf.math.is_finite(features),
        "`features` must be finite. They are not in:",
    )


def as_labels(labels, num_classes):
    """Class numbers `(batch,)` of images, for a game that needs them.

    Raises:
        ValueError: for labels of another kind, as floats or one-hot rows; or
            for labels that are no class.
    """
    labels = tf.convert_to_tensor(labels)
    if labels.shape.rank not in (None, 1) or not labels.dtype.is_integer:
        raise ValueError(
            f"`labels` must be integers of shape (batch,), in [0, "
            f"{num_classes}). Received: {labels.dtype.name} of shape "
            f"{tuple(labels.shape)}. Of one-hot rows take "
            "np.argmax(labels, -1), of a column labels[:, 0]."
        )
    numbers = tf.cast(labels, tf.int64)
    return _good_rows(
        labels,
        (numbers >= 0) & (numbers < num_classes),
        f"`labels` must be in [0, {num_classes}). They are not in:",
    )


def sparsities(sparsity, images):
    """`λ` for a batch of images, a float32 tensor `(batch,)`.

    Raises:
        ValueError: for a negative or not finite `λ`, or for another number of
            them than one, or one for every image.
    """
    sparsity = tf.cast(sparsity, tf.float32)
    if sparsity.shape.rank != 1:
        sparsity = tf.reshape(sparsity, (-1,))
    size, count = tf.size(sparsity), tf.shape(images)[0]
    fits = tf.logical_or(tf.equal(size, 1), tf.equal(size, count))
    message = "`sparsity` must be one number, or one for every image. Received:"
    sparsity = asserted(
        sparsity, fits, [message, size, "for", count, "images."]
    )
    # OpenVINO converts no `broadcast_to` or `zeros` of a size that it does not
    # know.
    first = images[(slice(None), *(images.shape.rank - 1) * (0,))]
    sparsity = sparsity + tf.zeros_like(first, tf.float32)
    # Of an exported model the C library gives numbers of any shape.
    sparsity = tf.ensure_shape(sparsity, [None], "sparsity_of_every_image")
    return _good_rows(
        sparsity,
        tf.math.is_finite(sparsity) & (sparsity >= 0),
        "`sparsity` must be finite and at least 0. It is not in:",
    )


def _good_rows(values, good, message):
    """The values, once all is good in every row; names the rows if not."""
    good = tf.reduce_all(good, axis=range(1, good.shape.rank or 1))
    good = tf.reshape(good, (-1,))
    rows = tf.where(tf.logical_not(good))[:, 0]
    return asserted(values, tf.reduce_all(good), [f"{message} Row", rows])


def asserted(values, condition, data):
    """The values, once a condition holds; `data` are parts of a message.

    `tf.debugging.Assert` would make a branch, which some converters can't read.
    A condition that is known before a graph runs raises a `ValueError`.
    """
    known = tf.get_static_value(condition)
    if known is None:
        check = tf.raw_ops.Assert(condition=condition, data=data, summarize=10)
        with tf.control_dependencies([check]):
            return tf.identity(values)
    if not known:
        words = [
            part
            if isinstance(part, str)
            else shown(np.asarray(tf.get_static_value(part)).tolist())
            for part in data
        ]
        raise ValueError(" ".join(words))
    return values


@contextlib.contextmanager
def value_errors():
    """Turns errors of a running graph or data set into `ValueError`."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(plain(error)) from error
