"""Pictures of an evaluation."""

import numpy as np

from keras_csc.evaluation import passes
from keras_csc.evaluation import probing
from keras_csc.pixels import from_pixels
from keras_csc.visualization import comparison_grid
from keras_csc.visualization import draw_atoms
from keras_csc.visualization import growing_picture
from keras_csc.visualization import save_figure
from keras_csc.visualization import save_png
from keras_csc.visualization import similarity_figure
from keras_csc.visualization import strongest_atoms

MOST_ROWS = 2000  # of similarities


def draw(
    model, images, reconstructions, features, labels, class_features, folder
):
    """Writes `evaluation.png`, `atoms_*.png` and, with labels, similarities.

    With sparse codes also `growing.png` and `strongest_atoms.png`, of the stage
    next to the image, if an atom is active. Of the images that are drawn it is
    the one of most contrast.

    Args:
        model: `ClosedLoopAutoencoder`.
        images: uint8 array `(n, height, width, channels)`.
        reconstructions: floats of the same shape, in [-1, 1].
        features: array `(n, d)` of the images, or maps of it.
        labels: ints `(n,)`, -1 for unlabelled.
        class_features: int, how many features carry the classes; 0 for none.
        folder: `pathlib.Path` of the pictures.
    """
    chosen, columns = shown(labels)
    picture = comparison_grid(
        [from_pixels(images[chosen]), reconstructions[chosen]],
        ["image", "regenerated"],
        columns,
        scale=max(1, 48 // images.shape[1]),
    )
    save_png(folder / "evaluation.png", picture)
    for name, picture in draw_atoms(model).items():
        save_png(folder / f"{name}.png", picture)
    if model.encoder.sparse:
        contrast = np.std(images[chosen], axis=(1, 2, 3))
        image = images[chosen[np.argmax(contrast)]]
        draw_explanation(model.explain(image), folder)
    if (labels >= 0).any():
        draw_similarities(features, labels, class_features, folder)


def draw_explanation(explanation, folder):
    """Writes how an image grows from its atoms, and the strongest of them."""
    if explanation.stages[0].zeros < 1:
        for function in (growing_picture, strongest_atoms):
            name = function.__name__.removesuffix("_picture")
            save_png(folder / f"{name}.png", function(explanation, side=128))


def shown(labels, rows=4, columns=10):
    """Which images to draw: the first, or of few classes a class a column.

    Returns:
        `(indices, columns)`.
    """
    classes, counts = np.unique(labels[labels >= 0], return_counts=True)
    if not 5 <= len(classes) <= columns or counts.min() < rows:
        return np.arange(min(len(labels), rows * columns)), columns
    first = [np.flatnonzero(labels == label)[:rows] for label in classes]
    return np.stack(first, axis=1).ravel(), len(classes)


def draw_similarities(features, labels, class_features, folder):
    """Writes the similarities of features, and of the part for the classes."""
    known = np.flatnonzero(labels >= 0)[:MOST_ROWS]
    features, labels = features[known], labels[known]
    sets = {"feature_similarity": passes.rows(features)}
    if class_features:
        sets["class_part_similarity"] = probing.class_part_of(
            features, class_features
        )
    for name, rows in sets.items():
        save_figure(folder / f"{name}.png", similarity_figure(rows, labels))
