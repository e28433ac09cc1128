"""How good regenerated images are, beside what simple references reach."""

import numpy as np
import tensorflow as tf

from keras_csc import metrics
from keras_csc.evaluation import passes
from keras_csc.pixels import from_pixels

MOST_NUMBERS = 2**26  # of training images that there is memory for


def reconstruction_figures(model, images, batch_size=250):
    """Quality and consistency of reconstructions.

    Args:
        model: `ClosedLoopAutoencoder`.
        images: uint8 array `(n, height, width, channels)`.
        batch_size: int.

    Returns:
        `(features, reconstructions, again, figures)`: as of `encode`, float32
        images, their features, and a dict with `psnr` (dB), `ssim`
        and `ms_ssim` (`None` for images without room for its window or for two
        scales), `ms_ssim_scales`, `cosine`, `retrieval`, `pixel_retrieval`,
        `zero_fraction` (a list, by
        stage) and `effective_rank`.

    Raises:
        ValueError: for a model all whose features are zero.
    """
    qualities = _qualities(images.shape[1:3])

    @tf.function(autograph=False, reduce_retracing=True)
    def measure(images):
        output = model.encoder.activations(images)
        reconstructions = model.decode(
            output.features, image_size=images.shape[1:3]
        )
        again = model.encode(reconstructions)
        zeros = tf.stack(
            [
                tf.reduce_mean(tf.cast(code == 0, tf.float32), axis=(1, 2, 3))
                for code in output.codes
            ],
            axis=1,
        )
        quality = tf.stack(
            [metric(images, reconstructions) for metric in qualities.values()],
            axis=1,
        )
        return output.features, reconstructions, again, quality, zeros

    parts = [
        [np.asarray(part) for part in measure(batch)]
        for batch in passes.float_batches(images, batch_size)
    ]
    features, reconstructions, again, quality, zeros = map(
        np.concatenate, zip(*parts)
    )
    if not np.any(features):
        raise ValueError(
            "All features of the images are zero: no code of the encoder is "
            "active. Train with a lower `sparsity`, or lower learning rates."
        )
    means = dict(zip(qualities, quality.mean(axis=0).tolist()))
    vectors = passes.rows(features), passes.rows(again)
    return (
        features,
        reconstructions,
        again,
        {
            **{name: means.get(name) for name in ("psnr", "ssim", "ms_ssim")},
            "ms_ssim_scales": metrics.scales_that_fit(*images.shape[1:3]),
            "cosine": metrics.cosine_similarity(*vectors),
            "retrieval": metrics.retrieval_rate(*vectors),
            "pixel_retrieval": metrics.pixel_retrieval_rate(
                from_pixels(images), reconstructions
            ),
            "zero_fraction": zeros.mean(axis=0).tolist(),
            "effective_rank": metrics.effective_rank(
                features.reshape(-1, features.shape[-1])
            ),
        },
    )


def _qualities(sides):
    scales = metrics.scales_that_fit(*sides)
    functions = {"psnr": metrics.peak_signal_to_noise_ratio}
    if scales >= 1:
        functions["ssim"] = metrics.structural_similarity
    if scales >= 2:
        functions["ms_ssim"] = metrics.multiscale_structural_similarity
    return functions


def reference_figures(model, train_images, train_labels, images, labels):
    """`metrics.reference_psnr` of uint8 images.

    Principal components are as many as the model's features: of images or,
    for a model of maps, of blocks as large as a place, of which images keep
    whole ones.

    Args:
        model: `ClosedLoopAutoencoder`.
        train_images: uint8 array `(n, height, width, channels)`.
        train_labels: ints `(n,)`, -1 for unlabelled.
        images: uint8 array `(m, height, width, channels)`.
        labels: ints `(m,)`.

    Returns:
        Dict of the figures, and of the number of `training_images`.
    """
    count = max(1, MOST_NUMBERS // train_images[0].size)
    train, test = (from_pixels(each) for each in (train_images[:count], images))
    block = None
    if model.encoder.features == "map":
        block = 2 ** len(model.encoder.filters)
        height, width = (side // block * block for side in images.shape[1:3])
        train, test = (each[:, :height, :width] for each in (train, test))
    return {
        **metrics.reference_psnr(
            train,
            test,
            model.encoder.feature_dim,
            train_labels[:count],
            labels,
            block=block,
        ),
        "training_images": len(train),
    }


def class_figures(judge, images, reconstructions, labels):
    """What share of images and reconstructions a classifier recognises.

    Args:
        judge: `FeatureExtractor` of the data set's classifier, or `None`.
        images: uint8 array `(n, height, width, channels)`.
        reconstructions: floats of the same shape, in [-1, 1].
        labels: ints `(n,)`, -1 for unlabelled.

    Returns:
        Dict with `same_class`, of the reconstructions, `same_class_of_images`
        and `classifier`, its name with its own test accuracy; `None` each
        without a judge or labels.
    """
    if judge is None or not np.any(labels >= 0):
        names = "same_class", "same_class_of_images", "classifier"
        return dict.fromkeys(names)
    made, real = (
        metrics.same_class_rate(judge(each)[1], labels)
        for each in (reconstructions, images)
    )
    return {
        "same_class": made,
        "same_class_of_images": real,
        "classifier": judge.name,
    }
