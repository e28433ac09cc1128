"""Passes of a model over arrays of images, in batches and in inference mode."""

import numpy as np
import tensorflow as tf

from keras_csc import metrics
from keras_csc.batches import by_batches
from keras_csc.metrics.features import rows as rows


def encode(model, images):
    """Features of images, as `ClosedLoopAutoencoder.encode` has them."""
    return by_batches(model.encode, images)[0]


def reconstruct(model, images):
    """Reconstructions, floats in [-1, 1], of images."""
    return by_batches(model.reconstruct, images)[0]


def sample(model, labels, seed=0):
    """Images of the model's density, float32 in [-1, 1], one a label."""
    return decode(model, model.density.sample(len(labels), labels, seed))


def decode(model, features):
    """Images of features, float32 in [-1, 1], as `decode` of the model."""
    made = by_batches(model.decode, np.asarray(features))[0]
    return np.asarray(made, "float32")


def pooled_codes(model, images):
    """`metrics.pooled_codes` of every stage, a list of arrays `(n, d)`."""

    def pool(images):
        codes = model.encoder.activations(images).codes
        return [metrics.pooled_codes(tf.cast(z, tf.float32)) for z in codes]

    return by_batches(pool, images)
