"""Whitened principal components of pixels, in the place of a network."""

import time

import numpy as np
from sklearn.decomposition import PCA

from keras_csc import evaluation
from keras_csc import metrics
from keras_csc.evaluation.probing import probe_figures
from keras_csc.pixels import from_pixels


def figures(size, images, labels, train, train_labels, judge):
    """What is measured of components of training images.

    Args:
        size: int, how many.
        images, train: uint8 arrays `(n, height, width, channels)`.
        labels, train_labels: ints `(n,)`.
        judge: `FeatureExtractor` of a classifier.

    Returns:
        Dict of figures, as of an autoencoder without labels.
    """

    def rows(images):
        return from_pixels(images).reshape(len(images), -1)

    began = time.monotonic()
    components = PCA(size, whiten=True, random_state=0).fit(rows(train))
    seconds = time.monotonic() - began
    features = components.transform(rows(images))
    drawn = components.inverse_transform(features).reshape(images.shape)
    drawn = np.clip(drawn, -1, 1).astype("float32")
    noise = np.random.default_rng(0).standard_normal(features.shape)
    samples = components.inverse_transform(noise).reshape(images.shape)
    samples = np.clip(samples, -1, 1).astype("float32")
    known = np.full(len(labels), -1)
    of_drawn, of_samples = (
        evaluation.sample_figures(made, images, asked, train, judge).figures
        for made, asked in ((drawn, labels), (samples, known))
    )
    probes = probe_figures(
        (components.transform(rows(train)), train_labels),
        (features, labels),
        features,
    )
    psnr = metrics.peak_signal_to_noise_ratio(from_pixels(images), drawn)
    return {
        "psnr": float(np.mean(psnr)),
        "frechet_distance": of_drawn["distribution"]["frechet_distance"],
        "samples": of_samples["distribution"]["frechet_distance"],
        **{
            name: of_drawn[name]
            for name in ("same_class", "same_class_of_images")
        },
        **{
            name: probes[name]
            for name in ("nearest_subspace_accuracy", "centered_knn_accuracy")
        },
        "labels": False,
        "weights": components.components_.size,
        "steps": 0,
        "seconds": seconds,
    }
