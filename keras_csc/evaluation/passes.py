"""Passes over large arrays of images, in batches and in inference mode."""

import numpy as np
import tensorflow as tf

from keras_csc.pixels import from_pixels

BATCH = 250
MOST_PIXELS = 2**20  # of a batch


def by_batches(function, arrays, batch_size=BATCH):
    """What a function makes of all images, as a graph, batch by batch.

    Args:
        function: from float32 tensors to tensors of as many rows, in a
            structure of lists and dicts. Such a structure of arrays is
            returned. A `tf.function` is not traced again.
        arrays: array with a row for every image, or a tuple of such arrays.
            uint8 is brought to [-1, 1], and floats stay what they are.
        batch_size: int, most images in a batch; fewer if they are large.
    """
    arrays = arrays if isinstance(arrays, tuple) else (arrays,)
    if not isinstance(function, tf.types.experimental.PolymorphicFunction):
        function = tf.function(function, autograph=False, reduce_retracing=True)
    count, pixels = len(arrays[0]), np.prod(arrays[0].shape[1:3])
    size = int(max(1, min(batch_size, MOST_PIXELS // pixels)))
    found = []
    for start in range(0, count, size):
        parts = (as_floats(each[start : start + size]) for each in arrays)
        outputs = function(*(tf.constant(each) for each in parts))
        found.append(tf.nest.map_structure(np.asarray, outputs))
    return tf.nest.map_structure(lambda *parts: np.concatenate(parts), *found)


def as_floats(images):
    """Images as float32: uint8 is brought to [-1, 1], floats stay the same."""
    images = np.asarray(images)
    if not np.issubdtype(images.dtype, np.floating):
        images = from_pixels(images)
    return images.astype("float32")


def encode(model, images):
    """Features of images, as `ClosedLoopAutoencoder.encode` makes them."""
    return by_batches(model.encode, images)


def sample(model, labels, seed=0):
    """Images from the model's density, one a label: float32 in [-1, 1]."""
    return decode(model, model.density.sample(len(labels), labels, seed))


def decode(model, features):
    """Images that the model decodes from features, float32 in [-1, 1]."""
    made = by_batches(model.decode, np.asarray(features))
    return np.asarray(made, "float32")
