"""Noisy images, and what is made of them.

Every method with a parameter has it chosen on noisy validation images, for
each level: the sparsity of a network's first stage, the weight of
total variation, the deviation that non-local means are told. Levels and
deviations are in units of intensities in [0, 1]; images here are in [-1, 1],
twice as wide.
"""

import numpy as np
from skimage import restoration

from keras_csc import metrics
from keras_csc import ops

LEVELS = (0.05, 0.1, 0.2)
SPARSITIES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2)
DEVIATIONS = (0.05, 0.1, 0.2, 0.3, 0.5)
WEIGHTS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
SOLVER_STEPS = 100


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
        found["first stage alone"] = (
            lambda images, sparsity: first_stage(model, images, sparsity),
            SPARSITIES,
        )
    return found


def first_stage(model, images, sparsity):
    """`A z*`: sparse coding with the first dictionary, no network above."""
    layer = model.encoder.coding_layers[0]
    kernel = layer.kernel.numpy()
    codes = ops.solve_sparse_code(
        images,
        kernel,
        sparsity,
        1 / ops.spectral_bound(kernel, layer.strides),
        strides=layer.strides,
        padding=layer.padding,
        nonnegative=layer.nonnegative,
        iterations=SOLVER_STEPS,
    )
    return ops.synthesis(
        codes, kernel, images.shape[1:3], layer.strides, layer.padding
    ).numpy()


def peers():
    """Denoisers that learned nothing, as `methods` returns them."""
    return {
        "total variation": (_each(_total_variation), WEIGHTS),
        "non-local means": (_each(_non_local_means), DEVIATIONS),
    }


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
        figures[str(level)] = {"noisy": _psnr(clean["test"], noisy["test"])}
        for name, (function, parameters) in methods.items():
            parameter = parameters[0]
            if len(parameters) > 1:
                scores = [
                    _psnr(clean["validation"], function(noisy["validation"], p))
                    for p in parameters
                ]
                parameter = parameters[int(np.argmax(scores))]
            figures[str(level)][name] = {
                "psnr": _psnr(
                    clean["test"], function(noisy["test"], parameter)
                ),
                "parameter": parameter,
            }
    return figures


def _psnr(images, others):
    others = np.asarray(others, "float32")
    return float(np.mean(metrics.peak_signal_to_noise_ratio(images, others)))


def _each(function):
    """Applies a denoiser of one image in [0, 1] to images in [-1, 1]."""

    def denoised(image, parameter):
        return np.reshape(function((image + 1) / 2, parameter), image.shape)

    def apply(images, parameter):
        return np.stack([2 * denoised(i, parameter) - 1 for i in images])

    return apply


def _total_variation(image, weight):
    return restoration.denoise_tv_chambolle(
        image, weight=weight, channel_axis=-1
    )


def _non_local_means(image, deviation):
    return restoration.denoise_nl_means(
        image,
        patch_size=5,
        patch_distance=6,
        h=0.8 * deviation,
        sigma=deviation,
        channel_axis=-1,
    )
