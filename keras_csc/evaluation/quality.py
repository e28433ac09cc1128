"""How good regenerated images are."""

import numpy as np
import tensorflow as tf

from keras_csc import metrics
from keras_csc.batches import BATCH
from keras_csc.batches import by_batches
from keras_csc.evaluation import passes
from keras_csc.evaluation.stages import stage_figures
from keras_csc.evaluation.stages import stage_sums
from keras_csc.pixels import from_pixels


def reconstruction_figures(model, images, batch_size=BATCH):
    """Quality and consistency of reconstructions.

    Returns:
        `(features, reconstructions, again, figures)`: as of `encode`, float32
        images, their features, and a dict with `psnr` (dB), `ssim` and
        `ms_ssim` (`None` for images without room for its window or for two
        scales), `ms_ssim_scales`, `cosine`, `retrieval`, `pixel_retrieval`,
        `zero_fraction` (a list, by stage), `effective_rank`, and
        `stage_figures`.

    Raises:
        ValueError: for a model all whose features are zero.
    """
    scales = metrics.scales_that_fit(*images.shape[1:3])
    qualities = {
        "psnr": metrics.peak_signal_to_noise_ratio,
        "ssim": metrics.structural_similarity,
        "ms_ssim": metrics.multiscale_structural_similarity,
    }
    known = list(qualities)[: min(scales, 2) + 1]

    def measure(images):
        output = model.encoder.activations(images)
        reconstructions = model.decode(
            output.features, image_size=images.shape[1:3]
        )
        zeros = [
            tf.reduce_mean(tf.cast(code == 0, tf.float32), axis=(1, 2, 3))
            for code in output.codes
        ]
        quality = [qualities[name](images, reconstructions) for name in known]
        return [
            output.features,
            reconstructions,
            model.encode(reconstructions),
            tf.stack(quality, axis=1),
            tf.stack(zeros, axis=1),
            stage_sums(model, output),
        ]

    features, reconstructions, again, quality, zeros, sums = by_batches(
        measure, images, batch_size
    )
    if not np.any(features):
        raise ValueError(
            "All features of the images are zero: no code of the encoder is "
            "active. Train with a lower `sparsity`, or lower learning rates."
        )
    vectors = passes.rows(features), passes.rows(again)
    figures = {
        **dict.fromkeys(qualities),
        **dict(zip(known, quality.mean(axis=0).tolist())),
        "ms_ssim_scales": scales,
        "cosine": metrics.cosine_similarity(*vectors),
        "retrieval": metrics.retrieval_rate(*vectors),
        "pixel_retrieval": metrics.pixel_retrieval_rate(
            from_pixels(images), reconstructions
        ),
        "zero_fraction": zeros.mean(axis=0).tolist(),
        **stage_figures(sums.sum(axis=0, dtype="float64")),
        "effective_rank": metrics.effective_rank(
            features.reshape(-1, features.shape[-1])
        ),
    }
    return features, reconstructions, again, figures


def class_figures(judge, images, reconstructions, labels):
    """What share of images and reconstructions a classifier recognises.

    For reconstructions it says whether they are still of the class
    ("GAN-test", [Shmelkov et al., 2018](https://arxiv.org/abs/1807.09499)).
    The classifier's share of the images themselves belongs beside it.

    Returns:
        Dict with `same_class`, of the reconstructions, `same_class_of_images`
        and `classifier`, its name with its own test accuracy; `None` each
        without a judge or labels.
    """
    known = labels >= 0
    if judge is None or not np.any(known):
        names = "same_class", "same_class_of_images", "classifier"
        return dict.fromkeys(names)
    made, real = (
        float(np.mean(np.argmax(judge(each)[1], 1)[known] == labels[known]))
        for each in (reconstructions, images)
    )
    return {
        "same_class": made,
        "same_class_of_images": real,
        "classifier": judge.name,
    }
