"""Noisy images, and what is made of them.

The sparsity of a network's first stage is chosen on noisy validation images,
for each level. Levels are in units of intensities in [0, 1]; images here are in
[-1, 1], twice as wide.
"""

import numpy as np

from keras_csc import metrics

LEVELS = (0.05, 0.1, 0.2)
SPARSITIES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2)


def psnr(images, others):
    """Mean PSNR of two arrays of images in [-1, 1], in decibels."""
    others = np.asarray(others, "float32")
    return float(np.mean(metrics.peak_signal_to_noise_ratio(images, others)))


def add(images, level, seed=0):
    """Images with Gaussian noise, not clipped.

    Args:
        images: float array in [-1, 1].
        level: float, the deviation, in units of intensities in [0, 1].
        seed: int.
    """
    random = np.random.default_rng(seed)
    noise = 2 * level * random.normal(size=images.shape)
    return (images + noise).astype("float32")


def methods(model):
    """Of an autoencoder: reconstruction, and by `λ` where it has one.

    Returns:
        Dict from names to `(function, parameters)`; the function takes noisy
        images and a parameter.
    """
    found = {
        "reconstruction": (
            lambda images, _: model.reconstruct(images),
            (None,),
        )
    }
    if model.encoder.sparse:
        found["chosen sparsity"] = (model.denoise, SPARSITIES)
    return found


def denoising(methods, clean):
    """PSNR by level and method.

    Args:
        methods: see `methods`.
        clean: dict of `"validation"` and `"test"` images.

    Returns:
        Dict from levels to a dict of `noisy`, the PSNR of the noisy images,
        and, for every method, its PSNR on test images and the parameter that
        was chosen on validation images.
    """
    figures = {}
    for level in LEVELS:
        noisy = {
            split: add(images, level, seed)
            for seed, (split, images) in enumerate(clean.items())
        }
        figures[str(level)] = {"noisy": psnr(clean["test"], noisy["test"])}
        for name, (function, parameters) in methods.items():
            parameter = parameters[0]
            if len(parameters) > 1:
                scores = [
                    psnr(clean["validation"], function(noisy["validation"], p))
                    for p in parameters
                ]
                parameter = parameters[int(np.argmax(scores))]
            figures[str(level)][name] = {
                "psnr": psnr(clean["test"], function(noisy["test"], parameter)),
                "parameter": parameter,
            }
    return figures
