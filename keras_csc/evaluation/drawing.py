"""Pictures of an evaluation."""

import numpy as np

from keras_csc.evaluation import passes
from keras_csc.pixels import from_pixels
from keras_csc.visualization import comparison_grid
from keras_csc.visualization import growing_picture
from keras_csc.visualization import image_grid
from keras_csc.visualization import save_png
from keras_csc.visualization import strongest_atoms
from keras_csc.visualization.atoms import draw_atoms

COLUMNS = 10
MOST_CLASSES = 20
MOST_ROWS = 2000  # of cosines


def draw(model, found, images, labels, folder):
    """Writes the pictures of an evaluation into a folder, a `pathlib.Path`.

    They are `evaluation.png`, `atoms_*.png` and, of labelled vectors,
    `feature_similarity.png`: absolute cosines in the order of the classes, dark
    for 1. Sparse codes with an active atom have `growing.png` and
    `strongest_atoms.png`. Both show the stage next to the image, for the drawn
    image with most contrast. With samples there are also `sample_pictures`.

    `found` is an `Evaluation` of uint8 images. Labels are -1 for unlabelled.
    """
    chosen, columns = shown(labels)
    pictures = draw_atoms(model)
    pictures["evaluation"] = comparison_grid(
        [from_pixels(images[chosen]), found.reconstructions[chosen]],
        ["image", "regenerated"],
        columns,
        scale=_scale(images),
    )
    contrast = np.std(images[chosen], axis=(1, 2, 3))
    explanation = model.explain(images[chosen[np.argmax(contrast)]])
    if explanation.stages[0].zeros < 1:
        pictures["growing"] = growing_picture(explanation, side=128)
        pictures["strongest_atoms"] = strongest_atoms(explanation, side=128)
    known = np.flatnonzero(labels >= 0)[:MOST_ROWS]
    if len(known) and found.features.ndim == 2:
        order = known[np.argsort(labels[known], kind="stable")]
        cosines = np.abs(found.features[order] @ found.features[order].T)
        pictures["feature_similarity"] = np.uint8(
            255 * (1 - cosines.clip(0, 1))
        )
    if found.samples:
        pictures.update(sample_pictures(model, found.samples, images))
    for name, picture in pictures.items():
        save_png(folder / f"{name}.png", picture)


def shown(labels, most=4, columns=COLUMNS):
    """Which images to draw: the first, or for few classes a class a column."""
    classes, counts = np.unique(labels[labels >= 0], return_counts=True)
    if not 5 <= len(classes) <= columns or counts.min() < most:
        return np.arange(min(len(labels), most * columns)), columns
    first = [np.flatnonzero(labels == label)[:most] for label in classes]
    return np.stack(first, axis=1).ravel(), len(classes)


def sample_pictures(model, samples, images):
    """Dict of pictures of samples and of what lies between images.

    `samples` has a row for each of the first 20 classes. `interpolation` has
    rows from one image to another. `samples_nearest` has samples above the
    training images nearest to them.
    """
    scale, most = _scale(images), 4 * COLUMNS
    classes = model.density.labels[:MOST_CLASSES]
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
