"""What an autoencoder does with a density of its features.

Functions of a `ClosedLoopAutoencoder`, which are its methods, too.
"""

import numpy as np
import tensorflow as tf
from keras import ops

from keras_csc.generation.density import FeatureDensity
from keras_csc.ops.tensors import great_circle
from keras_csc.ops.tensors import to_sphere
from keras_csc.validation import check_integer

BATCH = 250


def fit_density(model, images, labels=None, components=1, rank=None, seed=0):
    """Fits the density of the features of images, and keeps it.

    It is what `sample` draws from, and its mean is the centre of `embed`.

    Args:
        images: array `(n, height, width, channels)`, as in `encode`.
        labels: ints `(n,)`, -1 for unlabelled, or `None`.
        components, rank, seed: as in `FeatureDensity.fit`.

    Returns:
        The `FeatureDensity`.

    Raises:
        ValueError: for a model of maps, and for images or labels that do
            not fit.
    """
    if model.encoder.features != "vector":
        raise ValueError(
            "Only models with one feature vector an image have a density, "
            "to sample and embed with. Received: a model with "
            f"features={model.encoder.features!r}"
        )
    encode = tf.function(model.encode, autograph=False, reduce_retracing=True)
    features = [
        np.asarray(encode(model.checked_images(images[start : start + BATCH])))
        for start in range(0, len(images), BATCH)
    ]
    features = np.concatenate(features).astype("float32")
    model.density = FeatureDensity.fit(features, labels, components, rank, seed)
    return model.density


def sample(model, count, label=None, seed=None, temperature=1.0):
    """Images `g(z)` of features `z` that are drawn from the density.

    Args:
        count, label, seed, temperature: as in `FeatureDensity.sample`.

    Returns:
        Tensor `(count, height, width, channels)` in [-1, 1].

    Raises:
        ValueError: for a model without a density, a class that the density
            lacks, and other arguments out of range.
    """
    density = _known_density(model)
    features = density.sample(count, label, seed, temperature)
    parts = range(0, count, BATCH)
    return ops.concatenate(
        [model.decode(features[n : n + BATCH]) for n in parts]
    )


def interpolate(model, first, second, steps=9):
    """Images along great circles between the features of two images.

    They are `g(z(t))`, with `z(0) = f(x₀)` and `z(1) = f(x₁)`; see
    `keras_csc.ops.great_circle`. The first and last image of a row are the
    reconstructions of the two. In a model of maps every place has its own
    circle.

    Args:
        first: tensor `(n, height, width, channels)`, as in `encode`.
        second: tensor of the same shape.
        steps: int, at least 2, images of a row.

    Returns:
        Tensor `(n, steps, height, width, channels)` in [-1, 1].

    Raises:
        ValueError: for images of another shape than the model's.
    """
    check_integer(2, steps=steps)
    first, second = map(tf.convert_to_tensor, (first, second))
    if first.shape != second.shape:
        raise ValueError(
            f"Images must be pairs. Received: {first.shape}, {second.shape}"
        )
    ends = (ops.cast(model.encode(x), "float32") for x in (first, second))
    features = great_circle(*ends, steps)
    images = model.decode(
        ops.reshape(features, (-1, *features.shape[2:])),
        image_size=first.shape[1:3],
    )
    return ops.reshape(images, (-1, steps, *images.shape[1:]))


def embed(model, images):
    """Centred features `(z - m) / ‖z - m‖`, for retrieval and probes.

    What all features share hides from cosines how they differ. `m` is the
    mean of the features that the density was fitted to.

    Args:
        images: tensor, as in `encode`.

    Returns:
        Float32 tensor `(batch, feature_dim)`, rows of norm 1; 0 for
        features that are `m`.

    Raises:
        ValueError: for a model without a density.

    Reference:
        Wang et al., SimpleShot, 2019, on centred features of norm 1.
    """
    center = _known_density(model).center
    return to_sphere(ops.cast(model.encode(images), "float32") - center)


def _known_density(model):
    if model.density is None:
        raise ValueError(
            "The model has no density of its features. Fit one on training "
            "images: model.fit_density(images, labels)."
        )
    return model.density


def density_in(store):
    """The density whose arrays a store of variables has, or `None`."""
    if "factors" not in store.keys():
        return None
    names = "classes", "components", "feature_dim", "rank"
    density = FeatureDensity(**dict(zip(names, store["factors"].shape)))
    density.load_own_variables(store)
    return density
