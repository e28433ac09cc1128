"""How good regenerated images are, and what stands beside a PSNR."""

import math

import numpy as np
import tensorflow as tf
from skimage.util import view_as_blocks
from sklearn.decomposition import PCA

from keras_csc import metrics
from keras_csc.evaluation.passes import BATCH
from keras_csc.evaluation.passes import by_batches
from keras_csc.evaluation.stages import stage_figures
from keras_csc.evaluation.stages import stage_numbers
from keras_csc.metrics.features import rows
from keras_csc.metrics.reconstruction import SSIM_WINDOW
from keras_csc.pixels import from_pixels

_PSNR = tf.function(
    metrics.peak_signal_to_noise_ratio, autograph=False, reduce_retracing=True
)
MOST_NUMBERS = 2**26  # of training images that there is memory for


def reconstruction_figures(model, images, batch_size=BATCH):
    """Quality and consistency of reconstructions.

    Returns:
        `(features, reconstructions, again, figures)`. `features` are as in
        `encode`, `reconstructions` are float32 images, and `again` are their
        features. `figures` is a dict with `psnr` (dB), `ssim`,
        `retrieval`, `pixel_retrieval`, `effective_rank`, and `stage_figures`.
        `ssim` is `None` for images without room for its window.

    Raises:
        ValueError: if all features are zero.
    """
    qualities = {"psnr": metrics.peak_signal_to_noise_ratio}
    if min(images.shape[1:3]) >= SSIM_WINDOW:
        qualities["ssim"] = metrics.structural_similarity

    def measure(images):
        output = model.encoder.activations(images)
        made = model.decode(output.features, image_size=images.shape[1:3])
        return [
            output.features,
            made,
            model.encode(made),
            {name: of(images, made) for name, of in qualities.items()},
            stage_numbers(model, output),
        ]

    features, made, again, found, stages = by_batches(
        measure, images, batch_size
    )
    if not np.any(features):
        raise ValueError(
            "All features of the images are zero: no code of the encoder is "
            "active. Train with a lower `sparsity`, or lower learning rates."
        )
    vectors = rows(features), rows(again)
    figures = {
        "ssim": None,
        **{name: float(values.mean()) for name, values in found.items()},
        "retrieval": metrics.retrieval_rate(*vectors),
        "pixel_retrieval": metrics.retrieval_rate(from_pixels(images), made),
        **stage_figures(model, stages),
        "effective_rank": metrics.effective_rank(
            features.reshape(-1, features.shape[-1])
        ),
    }
    return features, made, again, figures


def class_figures(judge, images, reconstructions, labels):
    """What share of images and reconstructions a classifier recognises.

    The share of reconstructions says whether they are still of their class
    ("GAN-test", [Shmelkov et al., 2018](https://arxiv.org/abs/1807.09499)). The
    share of the images themselves belongs beside it.

    Returns:
        Dict with `same_class`, the share of the reconstructions,
        `same_class_of_images`, and `classifier`, its name with its own test
        accuracy. All are `None` without a judge or labels.
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


def reference_figures(model, train_images, images):
    """Mean PSNR of the best linear autoencoder with as many numbers.

    It is `m + V Vᵀ (x - m)`, with `m` the mean of the training images and `V`
    their first principal components, at most as many as the model's features.
    For a model of maps the components are of blocks as large as a place, and
    images are cut to whole blocks.

    Args:
        model: `ClosedLoopAutoencoder`.
        train_images, images: uint8 arrays `(n, height, width, channels)`.

    Returns:
        Dict of `pca`, in dB, and of the numbers of `pca_components` and
        `training_images`.
    """
    encoder, size = model.encoder, images.shape[1:3]
    block = size
    if encoder.features == "map":
        block = (encoder.stride,) * 2
        size = [n // side * side for n, side in zip(size, block)]
    count = max(1, MOST_NUMBERS // train_images[0].size)
    train_images, images = (
        from_pixels(each[:, : size[0], : size[1]])
        for each in (train_images[:count], images)
    )
    block = 1, *block, images.shape[-1]
    rows = view_as_blocks(train_images, block).reshape(-1, math.prod(block))
    components = min(encoder.feature_dim, *rows.shape) if len(rows) > 1 else 0
    made = np.empty_like(images)
    blocks = view_as_blocks(made, block)
    blocks[:] = rows[0].reshape(block)
    if components:
        pca = PCA(components, random_state=0).fit(rows)
        flat = view_as_blocks(images, block).reshape(-1, math.prod(block))
        flat = pca.inverse_transform(pca.transform(flat))
        blocks[:] = flat.reshape(blocks.shape)
    return {
        "pca": float(np.mean(by_batches(_PSNR, (images, made)))),
        "pca_components": components,
        "training_images": len(train_images),
    }
