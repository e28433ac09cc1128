"""How an autoencoder draws images of other sets, and images with noise."""

import numpy as np

from keras_csc import data
from keras_csc import metrics
from keras_csc.evaluation import passes
from keras_csc.pixels import from_pixels

LIMIT = 5000
# Of noise, in units of intensities in [0, 1].
LEVELS = (0.05, 0.1, 0.2)
SPARSITIES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2)
NOISY = {"validation": 25, "test": 100}


def psnr(images, others):
    """Mean PSNR of two arrays of images in [-1, 1], in decibels."""
    others = np.asarray(others, "float32")
    return float(np.mean(metrics.peak_signal_to_noise_ratio(images, others)))


def of_sets(model, names, data_dir):
    """PSNR of test images of data sets, in the model's size and colours."""
    figures = {}
    for name in names:
        shape = model.encoder.image_shape
        source = data.open_dataset(name, "test", shape, data_dir=data_dir)
        images, _ = data.load_arrays(source, LIMIT)
        regenerated = passes.by_batches(model.reconstruct, images)
        figures[name] = psnr(from_pixels(images), regenerated)
    return figures


def noisy(model, splits):
    """PSNR of images with noise of `LEVELS`, by level and method.

    Returns:
        Dict from levels to a dict of `noisy`, the PSNR of the noisy images,
        and of `best` of `reconstruction` and, with the model's `λ` as its
        parameter, of `chosen sparsity`.
    """
    clean = {
        split: from_pixels(data.load_arrays(splits[split], count)[0])
        for split, count in NOISY.items()
    }
    methods = {"reconstruction": (lambda x, _: model.reconstruct(x), (None,))}
    if model.encoder.coding_layers:
        methods["chosen sparsity"] = (model.denoise, SPARSITIES)
    figures = {}
    for level in LEVELS:
        given = {
            split: add(images, level, seed)
            for seed, (split, images) in enumerate(clean.items())
        }
        figures[str(level)] = {"noisy": psnr(clean["test"], given["test"])}
        for name, method in methods.items():
            figures[str(level)][name] = best(*method, clean, given)
    return figures


def add(images, level, seed=0):
    """Images in [-1, 1] with Gaussian noise of a level, not clipped."""
    random = np.random.default_rng(seed)
    noise = 2 * level * random.normal(size=images.shape)
    return (images + noise).astype("float32")


def best(function, parameters, clean, given):
    """PSNR of test images, with the parameter of the validation images.

    Args:
        function: of noisy images and a parameter.
        parameters: values to choose from.
        clean, given: dicts of `"validation"` and `"test"` images.
    """

    def score(split, parameter):
        return psnr(clean[split], function(given[split], parameter))

    parameter = parameters[0]
    if len(parameters) > 1:
        parameter = max(parameters, key=lambda p: score("validation", p))
    return {"psnr": score("test", parameter), "parameter": parameter}
