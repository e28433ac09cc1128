"""What stands beside a figure of quality: images that need no autoencoder."""

import numpy as np

from keras_csc.metrics.checks import as_image_sets
from keras_csc.metrics.reconstruction import peak_signal_to_noise_ratio


def reference_psnr(
    train_images,
    images,
    components,
    train_labels=None,
    labels=None,
    block=None,
):
    """Mean PSNR of what knows less of an image than a good autoencoder.

    - `mean_image`: the mean training image, for every image. What is below it
      has not brought back anything.
    - `class_mean_image`: the mean training image of the image's class. Sharp
      images of the right class, but of other examples of it, are about here.
    - `pca`: `m + V Vᵀ (x - m)`, with `V` the first principal components of the
      training images: the best linear autoencoder with as many numbers. Or of
      blocks of the images, each with so many numbers.

    Args:
        train_images: floats in `[-1, 1]`, shape `(n, height, width, channels)`.
        images: floats in `[-1, 1]`, shape `(m, height, width, channels)`.
        components: int, at least 1, number of features to compare with.
            PCA has at most as many as training images and as pixels, and
            none of a single training image.
        train_labels: ints of shape `(n,)`, -1 for unlabelled, or `None`.
        labels: ints of shape `(m,)`, -1 for unlabelled, or `None`.
        block: int, height and width of the blocks for `pca`, which divides
            those of the images; by default the images are whole.

    Returns:
        Dict of the three, floats in decibels, and of `pca_components`. The
        mean image of a class is measured on the images whose class has
        training images; `None` without any.

    Raises:
        ValueError: if shapes do not match, images are not finite, or
            `components` is not positive.

    Reference:
        - [Halko et al., 2011](https://arxiv.org/abs/0909.4061), the randomised
          decomposition that scikit-learn's `PCA` takes for many pixels
    """
    train_images, images = as_image_sets(
        train_images=train_images, images=images
    )
    if components < 1:
        raise ValueError(
            f"`components` must be at least 1. Received: {components}"
        )
    mean = np.mean(train_images, axis=0, dtype="float64")
    linear, components = _principal_images(
        train_images, images, components, block
    )
    return {
        "mean_image": _psnr(images, np.broadcast_to(mean, images.shape)),
        "class_mean_image": _class_mean_psnr(
            train_images, images, train_labels, labels
        ),
        "pca": _psnr(images, linear),
        "pca_components": components,
    }


def _class_mean_psnr(train_images, images, train_labels, labels):
    if train_labels is None or labels is None:
        return None
    train_labels, labels = np.asarray(train_labels), np.asarray(labels)
    for name, given, rows in (
        ("train_labels", train_labels, len(train_images)),
        ("labels", labels, len(images)),
    ):
        if given.shape != (rows,):
            raise ValueError(
                f"`{name}` must have shape {(rows,)}. Received: {given.shape}"
            )
    classes = np.intersect1d(train_labels, labels)
    means = {
        label: np.mean(train_images[train_labels == label], axis=0)
        for label in classes
        if label != -1
    }
    if not means:
        return None
    known = np.isin(labels, list(means))
    made = np.stack([means[label] for label in labels[known]])
    return _psnr(images[known], made)


def _principal_images(train_images, images, components, block):
    """Images from so many principal components, and how many those are."""
    from sklearn.decomposition import PCA

    train, flat = (_blocks(each, block) for each in (train_images, images))
    if len(train) == 1:  # The mean is all that there is.
        made = np.broadcast_to(train, flat.shape)
        return _assembled(made, images.shape, block), 0
    components = min(components, *train.shape)
    pca = PCA(components, random_state=0).fit(train)
    made = pca.inverse_transform(pca.transform(flat))
    return _assembled(made, images.shape, block), components


def _blocks(images, block):
    """Blocks of the images as rows; of whole ones, if `block` is `None`."""
    count, height, width, channels = images.shape
    if block is None:
        return images.reshape(count, -1)
    if height % block or width % block:
        raise ValueError(
            "`block` must divide height and width of the images. Received: "
            f"block={block}, images of {height}×{width}"
        )
    shape = (count, height // block, block, width // block, block, channels)
    blocks = images.reshape(shape).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(-1, block * block * channels)


def _assembled(blocks, shape, block):
    """Images of that shape from what `_blocks` makes of them."""
    if block is None:
        return blocks.reshape(shape)
    count, height, width, channels = shape
    rows, columns = height // block, width // block
    images = blocks.reshape(count, rows, columns, block, block, channels)
    return images.transpose(0, 1, 3, 2, 4, 5).reshape(shape)


def _psnr(images, reconstructions):
    """Mean over the images, of which not all are tensors at once."""
    parts = [
        peak_signal_to_noise_ratio(
            images[start : start + 250],
            np.asarray(reconstructions[start : start + 250], "float32"),
        )
        for start in range(0, len(images), 250)
    ]
    return float(np.mean(np.concatenate(parts)))
