"""What an autoencoder does with a density of its features.

Functions of a `ClosedLoopAutoencoder`, which are its methods, too.
"""

import numpy as np
import tensorflow as tf
from keras import ops

from keras_csc.generation.density import FeatureDensity
from keras_csc.ops.tensors import to_sphere
from keras_csc.validation import check_integer

BATCH = 250
# Below, the difference of float32 features of norm 1 is rounding.
LEAST_SINE = 1e-6


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
    starts = range(0, count, BATCH)
    return ops.concatenate(
        [model.decode(features[n : n + BATCH]) for n in starts]
    )


def interpolate(model, first, second, steps=9):
    """Images along great circles between the features of two images.

    They are `g(z(t))`, with `z(0) = f(x₀)` and `z(1) = f(x₁)`; see
    `great_circle`. The first and last image of a row are the
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


def great_circle(first, second, steps):
    """Points at equal distances on the shortest way over the sphere.

    `z(t) = cos(tθ) z₀ + sin(tθ) u`, `t = 0, 1/(steps-1), ..., 1`

    `θ` is the angle between `z₀` and `z₁`. `u` has norm 1 and lies in their
    plane, at a right angle to `z₀`. If `z₀` and `z₁` are equal, all points are.
    If they are antipodal, every great circle is a shortest way; this one goes
    towards the axis of the smallest number of `z₀`.

    Args:
        first: tensor `(n, ..., d)`, `z₀`, rows of norm 1.
        second: tensor of the same shape, `z₁`.
        steps: int, at least 2, points of each way with both ends.

    Returns:
        Tensor `(n, steps, ..., d)`, rows of norm 1.

    Reference:
        Shoemake, Animating rotation with quaternion curves, SIGGRAPH 1985.
    """
    first, second = map(ops.convert_to_tensor, (first, second))
    cosine = ops.sum(first * second, -1, keepdims=True)
    tangent = _perpendicular(second, first)
    sine = ops.norm(tangent, axis=-1, keepdims=True)
    parallel = sine < LEAST_SINE
    smallest = ops.argmin(ops.abs(first), -1)
    axis = ops.one_hot(smallest, first.shape[-1], dtype=first.dtype)
    tangent = ops.where(parallel, _perpendicular(axis, first), tangent)
    tangent = to_sphere(_perpendicular(to_sphere(tangent), first))
    sine = ops.where(parallel, ops.zeros_like(sine), sine)
    angle = ops.expand_dims(ops.arctan2(sine, cosine), 1)
    part = ops.linspace(0.0, 1.0, steps, dtype=first.dtype)
    part = ops.reshape(part, (1, steps, *[1] * (len(first.shape) - 1)))
    first, tangent = ops.expand_dims(first, 1), ops.expand_dims(tangent, 1)
    return to_sphere(
        ops.cos(part * angle) * first + ops.sin(part * angle) * tangent
    )


def _perpendicular(vectors, directions):
    """Vectors less their parts along directions of norm 1."""
    along = ops.sum(vectors * directions, -1, keepdims=True)
    return vectors - along * directions


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
