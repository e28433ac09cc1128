"""Pictures of an evaluation, and TensorBoard's projector."""

import pathlib

import numpy as np
import tensorflow as tf

from keras_csc import metrics
from keras_csc.evaluation import passes
from keras_csc.evaluation.probing import class_part_of
from keras_csc.files import replacing
from keras_csc.metrics.features import rows
from keras_csc.pixels import from_pixels
from keras_csc.visualization import comparison_grid
from keras_csc.visualization import growing_picture
from keras_csc.visualization import image_grid
from keras_csc.visualization import save_figure
from keras_csc.visualization import save_png
from keras_csc.visualization import similarity_figure
from keras_csc.visualization import strongest_atoms
from keras_csc.visualization.atoms import draw_atoms
from keras_csc.visualization.grids import arrange
from keras_csc.visualization.grids import fitted
from keras_csc.visualization.grids import image_tiles

COLUMNS = 10
MOST_CLASSES = 20
MOST_ROWS = 2000  # of similarities


def draw(model, found, images, labels, class_features, folder):
    """Writes the pictures of an evaluation.

    `evaluation.png`, `atoms_*.png` and, with labels, similarities. With sparse
    codes also `growing.png` and `strongest_atoms.png`, of the stage next to the
    image, if an atom is active; they are of the drawn image that has most
    contrast. With samples also `sample_pictures`.

    Args:
        model: `ClosedLoopAutoencoder`.
        found: `Evaluation`.
        images: uint8 array `(n, height, width, channels)`.
        labels: ints `(n,)`, -1 for unlabelled.
        class_features: int, how many features carry the classes; 0 for none.
        folder: `pathlib.Path` of the pictures.
    """
    chosen, columns = shown(labels)
    pictures = draw_atoms(model)
    pictures["evaluation"] = comparison_grid(
        [from_pixels(images[chosen]), found.reconstructions[chosen]],
        ["image", "regenerated"],
        columns,
        scale=_scale(images),
    )
    if model.encoder.sparse:
        contrast = np.std(images[chosen], axis=(1, 2, 3))
        explanation = model.explain(images[chosen[np.argmax(contrast)]])
        if explanation.stages[0].zeros < 1:
            pictures["growing"] = growing_picture(explanation, side=128)
            pictures["strongest_atoms"] = strongest_atoms(explanation, side=128)
    if found.samples:
        pictures.update(sample_pictures(model, found.samples, images))
    for name, picture in pictures.items():
        save_png(folder / f"{name}.png", picture)
    known = np.flatnonzero(labels >= 0)[:MOST_ROWS]
    if len(known):
        features = found.features[known]
        sets = {"feature_similarity": rows(features)}
        if class_features:
            part = class_part_of(features, class_features)
            sets["class_part_similarity"] = part
        for name, vectors in sets.items():
            figure = similarity_figure(vectors, labels[known])
            save_figure(folder / f"{name}.png", figure)


def shown(labels, most=4, columns=COLUMNS):
    """Which images to draw: the first, or of few classes a class a column.

    Returns:
        `(indices, columns)`.
    """
    classes, counts = np.unique(labels[labels >= 0], return_counts=True)
    if not 5 <= len(classes) <= columns or counts.min() < most:
        return np.arange(min(len(labels), most * columns)), columns
    first = [np.flatnonzero(labels == label)[:most] for label in classes]
    return np.stack(first, axis=1).ravel(), len(classes)


def sample_pictures(model, samples, images):
    """Dict of pictures of samples and of what lies between images.

    `samples`: a row of every class, of the first 20; `interpolation`: a row
    from one image to another; `samples_nearest`: samples above the training
    images nearest to them.
    """
    scale, most = _scale(images), 4 * COLUMNS
    classes = np.flatnonzero(model.density.priors)[:MOST_CLASSES]
    if model.density.classes == 1:
        classes = np.full(4, -1)
    drawn = passes.sample(model, np.repeat(classes, COLUMNS))
    pictures = {
        "samples": image_grid(drawn, COLUMNS, scale=scale),
        "samples_nearest": comparison_grid(
            [samples.images[:most], from_pixels(samples.nearest[:most])],
            ["sample", "nearest training image"],
            COLUMNS,
            scale,
        ),
    }
    half = min(len(images) // 2, 8)
    if half:
        ends = from_pixels(images[: 2 * half])
        between = model.interpolate(ends[:half], ends[half:], COLUMNS)
        between = np.reshape(between, (-1, *images.shape[1:]))
        pictures["interpolation"] = image_grid(between, COLUMNS, scale=scale)
    return pictures


def _scale(images):
    return max(1, 48 // images.shape[1])


NAME = "features"
MOST_SIDE = 4096  # pixels of the picture of all thumbnails
THUMBNAIL = 48


def write_projector(folder, found, images, labels, class_names=None):
    """Writes features, thumbnails and labels for TensorBoard's projector.

    `features.tsv`, `metadata.tsv` (class, number of the image and PSNR),
    `thumbnails.png`, and `projector_config.pbtxt`, which names them. Of maps
    the features are the means over their places.

    Args:
        folder: path, below what `tensorboard --logdir` is given. It is made,
            with an empty file of events, or TensorBoard would not look there.
        found: `Evaluation`.
        images: uint8 array `(n, height, width, channels)`.
        labels: ints `(n,)`, -1 for unlabelled.
        class_names: list of str, by label; by default the labels.

    Returns:
        `pathlib.Path` of the folder.
    """
    from tensorboard.plugins import projector

    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    places = found.features.reshape(len(images), -1, found.features.shape[-1])
    with replacing(folder / f"{NAME}.tsv") as path:
        np.savetxt(path, places.mean(1), fmt="%.6g", delimiter="\t")
    if not any(folder.glob("events.*")):
        tf.summary.create_file_writer(str(folder)).close()
    psnr = metrics.peak_signal_to_noise_ratio(
        from_pixels(images), found.reconstructions
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
    save_png(folder / "thumbnails.png", arrange(tiles, columns, 0))
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
