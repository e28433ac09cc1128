"""How the codes of images use the dictionaries of an encoder, as figures."""

import numpy as np
import tensorflow as tf
from scipy.stats import entropy

from keras_csc import metrics
from keras_csc.evaluation import passes

QUANTILES = (0, 0.25, 0.5, 0.75, 1)


def dictionary_figures(model, images, batch_size=250):
    """Dead and rare atoms, densities, energy and coherence of every stage.

    Args:
        model: `ClosedLoopAutoencoder`.
        images: uint8 array `(n, height, width, channels)`.
        batch_size: int.

    Returns:
        Dict of lists, by stage; `None` for an encoder without sparse codes.
        `dead_atoms` and `rare_atoms` are shares of the atoms, as of
        `metrics.dead_atoms` and `metrics.rare_atoms`. `density` and
        `image_density` are quantiles over the atoms (least, lower quartile,
        median, upper quartile, largest) of the shares of places and of images.
        `effective_atoms` is `exp(H(p))` of the atoms' shares of the energy,
        as of an effective rank. `coherence` is that of non-negative codes
        where the codes are.
    """
    if not model.encoder.sparse:
        return None
    layers = model.encoder.coding_layers
    kernels = [np.asarray(layer.kernel) for layer in layers]

    @tf.function(autograph=False, reduce_retracing=True)
    def codes_of(images):
        codes = model.encoder.activations(images).codes
        return [tf.cast(code, tf.float32) for code in codes]

    uses = [np.zeros((3, kernel.shape[-1])) for kernel in kernels]
    for batch in passes.float_batches(images, batch_size):
        for use, *pair in zip(uses, codes_of(batch), kernels):
            use += _use(*pair) * len(batch)
    parts = [
        {
            **_figures(*(use / len(images))),
            "coherence": metrics.mutual_coherence(
                kernel, layer.strides, layer.nonnegative
            ),
        }
        for use, kernel, layer in zip(uses, kernels, layers)
    ]
    return {name: [part[name] for part in parts] for name in parts[0]}


def _use(codes, kernel):
    """Densities of places, of images, and energies: `(3, atoms)`."""
    return np.stack(
        [
            metrics.code_density(codes),
            metrics.code_density(codes, of="images"),
            metrics.atom_energies(codes, kernel),
        ]
    )


def _figures(density, of_images, energies):
    return {
        "atoms": len(density),
        "dead_atoms": len(metrics.dead_atoms(density)) / len(density),
        "rare_atoms": len(metrics.rare_atoms(density)) / len(density),
        "density": np.quantile(density, QUANTILES).tolist(),
        "image_density": np.quantile(of_images, QUANTILES).tolist(),
        "effective_atoms": (
            float(np.exp(entropy(energies))) if energies.any() else 0.0
        ),
    }
