"""Figures with axes: feature similarity.

Figures are `matplotlib.figure.Figure` objects, free of pyplot and of its
global state. Write them with `save_figure`.
"""

import numpy as np
from sklearn.preprocessing import normalize

INK = "#333333"
MOST_CLASSES_OF_ROWS = 40
DOTS = 150  # an inch


def class_similarity(features, labels):
    """Mean magnitudes of the cosines between features of pairs of classes.

    Args:
        features: array of shape `(n, d)`.
        labels: array of shape `(n,)`.

    Returns:
        A tuple of the float array `(classes, classes)` in `[0, 1]` and the
        classes. For a class with itself it is the mean over pairs of different
        features, NaN if the class has only one.
    """
    features = normalize(np.asarray(features, "float32"))
    classes, numbers, counts = np.unique(
        labels, return_inverse=True, return_counts=True
    )
    members = np.eye(len(classes), dtype="float32")[numbers]
    # A class at a time: all pairs of many features are too many to hold.
    sums = [
        np.abs(features[number == numbers] @ features.T).sum(0) @ members
        for number in range(len(classes))
    ]
    own = np.bincount(numbers, np.sum(np.square(features), axis=1))
    pairs = np.outer(counts, counts) - np.diag(counts)
    means = (np.array(sums) - np.diag(own)) / np.where(pairs > 0, pairs, np.nan)
    return np.clip(means, 0, 1), classes


def similarity_figure(features, labels):
    """Similarities of features, class by class, as a figure.

    `S_ik = |<z_i, z_k>| / (‖z_i‖ ‖z_k‖)`, 0 for a zero row. If classes span
    orthogonal subspaces, the matrix is block-diagonal. Up to 40 classes have a
    row for every feature, with lines between classes. More classes have a row
    for every class, of `class_similarity`. The title has the means within and
    between classes.

    Args:
        features: array of shape `(n, d)`; a few thousand rows show well.
        labels: array of shape `(n,)`.

    Returns:
        A `matplotlib.figure.Figure`.

    Reference:
        - [Yu et al., 2020, MCR²](https://arxiv.org/abs/2006.08558)

    Example:

    >>> save_figure("similarity.png", similarity_figure(features, labels))
    """
    from matplotlib.figure import Figure

    means, classes = class_similarity(features, labels)
    of_rows = len(classes) <= MOST_CLASSES_OF_ROWS
    side = np.clip(1.25 * len(means) / DOTS, 3.6, 12)
    figure = Figure(figsize=(side + 1.6, side + 0.9), layout="constrained")
    axes = figure.add_subplot()
    matrix, centers = means, np.arange(len(classes))
    if of_rows:
        order = np.argsort(labels, kind="stable")
        vectors = normalize(np.asarray(features, "float32")[order])
        matrix = np.abs(vectors @ vectors.T)
        _, starts, counts = np.unique(
            np.asarray(labels)[order], return_index=True, return_counts=True
        )
        centers = starts + (counts - 1) / 2
        for edge in starts[1:] - 0.5:
            axes.axhline(edge, color=INK, linewidth=0.5)
            axes.axvline(edge, color=INK, linewidth=0.5)
    picture = axes.imshow(matrix, cmap="Blues", vmin=0, vmax=1)
    _mark_classes(axes, centers, classes)
    axes.set_title(within_and_between(means), fontsize=9, color=INK)
    bar = figure.colorbar(picture, ax=axes, shrink=0.85, pad=0.02)
    bar.set_label("|cosine|" if of_rows else "mean |cosine|", color=INK)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=9, colors=INK)
    return figure


def _mark_classes(axes, centers, classes):
    """Names as many of the classes as have room."""
    longest = max(len(str(name)) for name in classes)
    step = -(-len(classes) // (20 if longest <= 2 else 10))
    centers, classes = centers[::step], classes[::step]
    axes.set_xticks(centers, classes, rotation=90 if longest > 4 else 0)
    axes.set_yticks(centers, classes)
    axes.tick_params(length=0, labelsize=9, colors=INK)
    axes.spines[:].set(color=INK, linewidth=0.6)
    axes.set_xlabel("class", color=INK)


def within_and_between(means):
    """The means within and between classes, as a line."""
    own = np.eye(len(means), dtype=bool)
    parts = [
        f"{name} classes {np.nanmean(values):.2f}"
        for name, values in (("within", means[own]), ("between", means[~own]))
        if np.isfinite(values).any()
    ]
    return ", ".join(parts)
