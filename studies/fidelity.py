"""How near regenerated images are to those that they were made of."""

import numpy as np

from keras_csc import data
from keras_csc import metrics
from keras_csc.evaluation import passes
from keras_csc.pixels import from_pixels


def psnr(images, others):
    """Mean PSNR of two arrays of images in [-1, 1], in decibels."""
    others = np.asarray(others, "float32")
    return float(np.mean(metrics.peak_signal_to_noise_ratio(images, others)))


def psnr_of_model(model, source, most):
    """`psnr` of at most so many images of a source, and their regenerations."""
    images, _ = data.load_arrays(source, most)
    return psnr(from_pixels(images), passes.reconstruct(model, images))
