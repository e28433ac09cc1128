"""Features as TensorBoard's projector shows them."""

import pathlib

import numpy as np
import tensorflow as tf

from keras_csc import metrics
from keras_csc.files import replacing
from keras_csc.pixels import from_pixels
from keras_csc.visualization import arrange
from keras_csc.visualization import fitted
from keras_csc.visualization import image_tiles
from keras_csc.visualization import save_png

NAME = "features"
MOST_SIDE = 4096  # pixels of the picture of all thumbnails
THUMBNAIL = 48


def write_projector(
    folder, features, images, reconstructions, labels, class_names=None
):
    """Writes features, thumbnails and labels for TensorBoard's projector.

    `features.tsv`, `metadata.tsv` (class, number of the image and PSNR),
    `thumbnails.png`, and `projector_config.pbtxt`, which names them. Of maps
    the features are the means over their places.

    Args:
        folder: path, below what `tensorboard --logdir` is given. It is made,
            with an empty file of events, or TensorBoard would not look there.
        features: array `(n, d)`, or maps `(n, height, width, d)`.
        images: uint8 array `(n, height, width, channels)`.
        reconstructions: floats of the same shape, in [-1, 1].
        labels: ints `(n,)`, -1 for unlabelled.
        class_names: list of str, by label; by default the labels.

    Returns:
        `pathlib.Path` of the folder.
    """
    from tensorboard.plugins import projector

    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows = np.asarray(features)
    rows = rows.reshape(len(rows), -1, rows.shape[-1]).mean(1)
    with replacing(folder / f"{NAME}.tsv") as path:
        np.savetxt(path, rows, fmt="%.6g", delimiter="\t")
    if not any(folder.glob("events.*")):
        tf.summary.create_file_writer(str(folder)).close()
    psnr = metrics.peak_signal_to_noise_ratio(
        from_pixels(images), reconstructions
    )
    lines = ["class\timage\tPSNR"]
    for number, (label, value) in enumerate(zip(labels, np.asarray(psnr))):
        name = _name(label, class_names)
        lines.append(f"{name}\t{number}\t{value:.2f}")
    with replacing(folder / "metadata.tsv") as path:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    columns = int(np.ceil(np.sqrt(len(images))))
    side = max(1, min(THUMBNAIL, MOST_SIDE // columns))
    tiles = fitted(image_tiles(from_pixels(images), 1), side)
    save_png(folder / "thumbnails.png", arrange(tiles, columns, (0, 0)))
    config = projector.ProjectorConfig()
    embedding = config.embeddings.add(
        tensor_name=NAME,
        tensor_path=f"{NAME}.tsv",
        metadata_path="metadata.tsv",
    )
    embedding.sprite.image_path = "thumbnails.png"
    embedding.sprite.single_image_dim.extend(tiles.shape[2:0:-1])
    projector.visualize_embeddings(str(folder), config)
    return folder


def _name(label, class_names):
    """A class in a cell of a table, which has no tabs and lines."""
    if label < 0:
        return "unlabelled"
    name = class_names[label] if class_names else str(label)
    return " ".join(name.split())
