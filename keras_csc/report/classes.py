"""What the page shows of classes: how alike they are, and what varies."""

import numpy as np
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from keras_csc import metrics
from keras_csc.evaluation import passes
from keras_csc.evaluation.probing import class_angles
from keras_csc.evaluation.probing import class_part_of
from keras_csc.metrics.probes import principal_directions
from keras_csc.ops.tensors import to_sphere
from keras_csc.visualization import class_similarity
from keras_csc.visualization import within_and_between

IN_TABLE = 20  # classes whose matrix is a table of numbers
ROWS = 20  # of a list of pairs
WALKS = 24  # classes that have a row
DIRECTIONS = 3
DEVIATIONS = 2
BLUE = (46, 108, 200)
LEVELS = 16  # of shades: few, for their size


def similarities(found, class_features):
    """Matrices of the features, and of the part that carries the classes.

    `None` without two classes.
    """
    if not found or len(found.classes) < 2:
        return None
    known = found.labels >= 0
    sets = {"All features": found.vectors[known]}
    if class_features:
        sets["The part that carries the classes"] = class_part_of(
            found.features[known], class_features
        )
    return [
        {"title": title, **_similarity(found, rows, found.labels[known])}
        for title, rows in sets.items()
    ]


def _similarity(found, rows, labels):
    means, labels = class_similarity(rows, labels)
    names = [found.name(label) for label in labels]
    made = {"names": names, "means": within_and_between(means), "cells": None}
    if len(names) <= IN_TABLE:
        made["cells"] = [
            (name, [_cell(value) for value in row])
            for name, row in zip(names, means)
        ]
        return made
    order = _similar_together(means)
    made["shades"] = _shades(means[order][:, order])
    first, second = np.triu_indices(len(names), 1)
    values = np.nan_to_num(means[first, second])
    made["pairs"] = [
        [names[first[n]], names[second[n]], f"{values[n]:.2f}"]
        for n in np.argsort(-values, kind="stable")[:ROWS]
    ]
    return made


def _cell(value):
    """A similarity as text, and as a share of a colour in percent."""
    if not np.isfinite(value):
        return "–", 0
    return "1" if value > 0.995 else f"{value:.2f}"[1:], round(100 * value)


def _similar_together(means):
    """Classes in the order of a tree of averages."""
    distances = 1 - np.nan_to_num((means + means.T) / 2)
    np.fill_diagonal(distances, 0)
    tree = hierarchy.linkage(squareform(distances, checks=False), "average")
    return hierarchy.leaves_list(tree)


def _shades(values):
    """Numbers in [0, 1], NaN is 0, as the opacity of a colour."""
    steps = np.rint(np.nan_to_num(values) * (LEVELS - 1)) / (LEVELS - 1)
    color = np.broadcast_to(BLUE, (*values.shape, 3))
    shades = np.concatenate([color, 255 * steps[..., None]], -1)
    return np.rint(shades).astype("uint8")


def subspaces(model, found):
    """What varies within the largest classes, as images; `None` of maps."""
    if not found or model.encoder.features == "map":
        return None
    known, counts = np.unique(
        found.labels[found.labels >= 0], return_counts=True
    )
    groups = {-1: np.arange(len(found.labels))}
    if len(known) > 1:
        most = np.sort(np.argsort(-counts, kind="stable")[:WALKS])
        groups = {k: np.flatnonzero(found.labels == k) for k in known[most]}
    angles = _nearest_classes(found.vectors, found.labels, known)
    walks = [_walk(found.vectors[numbers]) for numbers in groups.values()]
    made = passes.decode(model, np.concatenate(walks))
    ends = np.cumsum([len(walk) for walk in walks])[:-1]
    rows = []
    for (label, numbers), images in zip(groups.items(), np.split(made, ends)):
        vectors = found.vectors[numbers]
        note = "has no features but 0"
        if np.any(vectors):
            rank = metrics.effective_rank(vectors)
            note = f"spreads over {rank:.1f} directions"
        if label in angles:
            other, angle = angles[label]
            note += f"; nearest: {found.name(other)}, at {angle:.0f}°"
        rows.append((found.name(label) or "all images", note, images))
    return rows


def _walk(rows):
    """The mean of features, and both ends of the directions they vary in."""
    mean = rows.mean(0)
    directions = principal_directions(
        rows.astype("float64"), min(DIRECTIONS, len(rows) - 1), mean
    )
    walk = [mean]
    for direction in directions:
        step = DEVIATIONS * np.std((rows - mean) @ direction) * direction
        walk += [mean - step, mean + step]
    return np.asarray(to_sphere(np.asarray(walk, "float32")))


def _nearest_classes(vectors, labels, known):
    """Of every class the one at the smallest mean angle, in degrees."""
    angles = None
    if 2 <= len(known) <= WALKS:
        angles = class_angles(vectors, labels)
    if angles is None:
        return {}
    angles = angles.mean(-1)
    np.fill_diagonal(angles, np.inf)
    nearest = np.argmin(angles, axis=1)
    return dict(zip(known, zip(known[nearest], angles.min(1))))
