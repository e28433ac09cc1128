"""Passes of a model over arrays of images, in batches and in inference mode."""

import numpy as np
import tensorflow as tf

from keras_csc import metrics
from keras_csc.metrics.features import rows as rows
from keras_csc.pixels import from_pixels

MOST_PIXELS = 2**20  # of a batch


def encode(model, images, batch_size=250):
    """Features of uint8 images, as `ClosedLoopAutoencoder.encode` has them."""
    return by_batches(lambda x: [model.encode(x)], images, batch_size)[0]


def reconstruct(model, images, batch_size=250):
    """Reconstructions, floats in [-1, 1], of uint8 images."""
    return by_batches(lambda x: [model.reconstruct(x)], images, batch_size)[0]


def sample(model, labels, seed=0, batch_size=250):
    """Images of the model's density, float32 in [-1, 1], one a label."""
    features = model.density.sample(len(labels), labels, seed)
    return decode(model, features, batch_size)


def decode(model, features, batch_size=250):
    """Images of features, float32 in [-1, 1], as `decode` of the model."""
    run = tf.function(model.decode, autograph=False, reduce_retracing=True)
    parts = [
        np.asarray(run(features[start : start + batch_size]), "float32")
        for start in range(0, len(features), batch_size)
    ]
    return np.concatenate(parts)


def pooled_codes(model, images, batch_size=250):
    """`metrics.pooled_codes` of every stage, a list of arrays `(n, d)`."""

    def pool(images):
        codes = model.encoder.activations(images).codes
        return [metrics.pooled_codes(tf.cast(z, tf.float32)) for z in codes]

    return by_batches(pool, images, batch_size)


def float_batches(images, batch_size):
    """Float32 tensors in [-1, 1] of uint8 images, fewer of large ones."""
    pixels = np.prod(images.shape[1:3])
    batch_size = max(1, min(batch_size, MOST_PIXELS // pixels))
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        yield tf.constant(from_pixels(batch))


def by_batches(function, images, batch_size):
    run = tf.function(function, autograph=False, reduce_retracing=True)
    parts = [
        [np.asarray(output) for output in run(batch)]
        for batch in float_batches(images, batch_size)
    ]
    return [np.concatenate(outputs) for outputs in zip(*parts)]
