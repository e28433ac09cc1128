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
        stage) and `effective_rank`; and those of `_stage_figures`, `None`
        where there are no such codes.

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
        sums = _stage_sums(model, output)
        return output.features, reconstructions, again, quality, zeros, sums

    parts = [
        [np.asarray(part) for part in measure(batch)]
        for batch in passes.float_batches(images, batch_size)
    ]
    features, reconstructions, again, quality, zeros, sums = map(
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
            **_stage_figures(sums.sum(axis=0, dtype="float64")),
            "effective_rank": metrics.effective_rank(
                features.reshape(-1, features.shape[-1])
            ),
        },
    )


def _stage_sums(model, output):
    """Of every image and stage, what `_stage_figures` divides.

    Returns:
        Tensor `(n, stages, numbers)`; no numbers without sparse codes.
    """
    encoder = model.encoder
    if not encoder.sparse:
        images = tf.shape(output.features)[0]
        return tf.zeros((images, len(encoder.filters), 0))
    stages = zip(encoder.coding_layers, output.inputs, output.codes)
    drawn = model.decoder.codes(output.features)
    sums = []
    for number, (layer, signal, codes) in enumerate(stages):
        signal, codes = (tf.cast(x, tf.float32) for x in (signal, codes))
        numbers = [
            tf.square(signal - layer.synthesize(codes)),
            tf.square(signal),
            tf.cast(codes != 0, tf.float32),
            tf.ones_like(signal),
            tf.square(tf.cast(drawn[number], tf.float32) - codes),
            tf.square(codes),
        ]
        sums.append([tf.reduce_sum(each, (1, 2, 3)) for each in numbers])
    return tf.transpose(tf.stack(sums), (2, 0, 1))


def _stage_figures(sums):
    """What codes say of their stage's input, and what is drawn beside them.

    With `x` the input of a stage, `z` its codes, `ẑ` those that the decoder
    draws with and all sums over all images.

    Args:
        sums: array `(stages, numbers)`, of `_stage_sums`.

    Returns:
        Dict of lists by stage: `explained`, `1 - Σ(x - A z)² / Σx²`;
        `nonzeros`, for every number of `x`; and `drawn_error`,
        `Σ(ẑ - z)² / Σz²`. They are `None` of an encoder without sparse codes.
    """
    figures = dict.fromkeys(("explained", "nonzeros", "drawn_error"))
    shares = sums[:, ::2] / np.where(sums[:, 1::2] > 0, sums[:, 1::2], 1)
    if shares.shape[1]:
        shares[:, 0] = 1 - shares[:, 0]
    return {**figures, **dict(zip(figures, shares.T.tolist()))}


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
