"""What the page shows of images, of atoms and of classes."""

import numpy as np
import threadpoolctl
from sklearn.manifold import TSNE

from keras_csc import html
from keras_csc import metrics
from keras_csc.evaluation import passes
from keras_csc.metrics.features import principal_directions
from keras_csc.ops.tensors import to_sphere
from keras_csc.pixels import to_pixels
from keras_csc.visualization.atoms import atom_tiles
from keras_csc.visualization.atoms import drawn_rows
from keras_csc.visualization.atoms import growing
from keras_csc.visualization.grids import fitted

SHOWN = 8  # of the best, the worst, ...
ATOMS = 8
BINS = 32
BAR = 64  # pixels of the highest
COLUMNS, MOST_CLASSES = 7, 10  # of samples
# Images for every cell of the atlas, and its sides.
IN_CELL, SIDES = 5, (4, 14)
CELL = 64  # most pixels of its side
IN_TABLE = 20  # classes whose matrix is a table of numbers
PAIRS = 20  # of more classes
WALKS = 24  # classes that have a row
DIRECTIONS, DEVIATIONS = 3, 2


def reconstructions(found):
    """The best, the median and the worst, and all as bars."""
    psnr = found.psnr
    order = np.argsort(psnr, kind="stable")
    count = min(SHOWN, len(order))
    middle = (len(order) - count) // 2
    counts, edges = np.histogram(psnr, BINS)
    # A bar that is not 0 can be seen.
    heights = np.maximum(BAR * counts / counts.max(), counts > 0)
    median = float(np.median(psnr))
    return {
        "groups": {
            "The best": order[::-1][:count],
            "Around the median": order[middle : middle + count],
            "The worst": order[:count],
        },
        "heights": np.round(heights, 1),
        "marked": min(int(np.searchsorted(edges, median, "right")), BINS) - 1,
        "psnr": (psnr.min(), median, psnr.max()),
    }


def examples(found, count):
    """Some images of high contrast, of usual quality and several classes."""
    order = np.argsort(found.psnr, kind="stable")
    quarter = len(order) // 4
    usual = order[quarter : len(order) - quarter]
    contrast = np.std(found.images[usual].astype("float32"), axis=(1, 2, 3))
    usual = usual[np.argsort(-contrast, kind="stable")]
    _, first = np.unique(found.labels[usual], return_index=True)
    chosen = [*usual[np.sort(first)], *np.delete(usual, first)]
    return [int(number) for number in chosen[:count]]


def explained(model, found):
    """Parts of the page of two images that are taken apart.

    Returns:
        Dict of `drawn` and, if an atom is active, of `growing`. `drawn` has,
        for the first image and every stage, what was found beside what is
        drawn. `growing` has the images as sums of atoms of the first stage.
    """
    explanations = [model.explain(found.images[n]) for n in examples(found, 2)]
    stages = explanations[0].stages
    parts = {"drawn": [drawn_rows(stage, ATOMS - 1) for stage in stages]}
    active = [each for each in explanations if each.stages[0].zeros < 1]
    if active:
        stage = active[0].stages[0]
        chosen = stage.strongest(ATOMS)
        shares = stage.shares[chosen]
        parts["growing"] = {
            "sums": [growing(each.image, each.stages[0]) for each in active],
            "strongest": zip(
                map(stage.label, chosen), shares, *atom_tiles(stage, chosen)
            ),
        }
    return parts


def samples(model, name):
    """Images of random features, a row a class; `name` names a label."""
    known = model.density.labels
    labels, of = np.repeat(known[:MOST_CLASSES], COLUMNS), "every class"
    if len(known) > MOST_CLASSES:
        of = f"each of the first {MOST_CLASSES} classes"
    if model.density.classes == 1:
        labels, of = np.full(2 * COLUMNS, -1), None
    images = passes.sample(model, labels)
    names = [name(label) if of else None for label in labels[::COLUMNS]]
    rows = images.reshape(-1, COLUMNS, *images.shape[1:])
    return {"of": of, "rows": list(zip(names, rows))}


# === Classes ===


def similarities(found):
    """The matrix of similarities of classes; `None` without two classes."""
    if not found or len(found.classes) < 2:
        return None
    known = found.labels >= 0
    means, labels = metrics.class_similarity(
        found.vectors[known], found.labels[known]
    )
    names = [found.name(label) for label in labels]
    made = {"names": names, "means": _within_and_between(means), "cells": None}
    if len(names) <= IN_TABLE:
        made["cells"] = [
            (name, [_cell(value) for value in row])
            for name, row in zip(names, means)
        ]
        return made
    first, second = np.triu_indices(len(names), 1)
    values = np.nan_to_num(means[first, second])
    made["pairs"] = [
        [names[first[n]], names[second[n]], f"{values[n]:.2f}"]
        for n in np.argsort(-values, kind="stable")[:PAIRS]
    ]
    return made


def _within_and_between(means):
    """The means within and between classes, as a line."""
    own = np.eye(len(means), dtype=bool)
    parts = [
        f"{name} classes {np.nanmean(values):.2f}"
        for name, values in (("within", means[own]), ("between", means[~own]))
        if np.isfinite(values).any()
    ]
    return ", ".join(parts)


def _cell(value):
    """A similarity as text, and as a share of a colour in percent."""
    if not np.isfinite(value):
        return "–", 0
    return f"{value:.2f}", round(100 * value)


def subspaces(model, found):
    """What varies within the largest classes, as images; `None` for maps."""
    if not found or model.encoder.features == "map":
        return None
    known, counts = np.unique(
        found.labels[found.labels >= 0], return_counts=True
    )
    groups = {-1: np.arange(len(found.labels))}
    if len(known) > 1:
        most = np.sort(np.argsort(-counts, kind="stable")[:WALKS])
        groups = {k: np.flatnonzero(found.labels == k) for k in known[most]}
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
        rows.append((found.name(label) or "all images", note, images))
    return rows


def atlas(model, found):
    """Cells of a map of all features, each drawn from the mean of its features.

    Images with features alike are near each other (t-SNE). It is as in Carter
    et al., "Activation Atlas" (2019), except that the decoder draws.

    Returns:
        `(side, cells)`, or `None` for maps and for few images. The `side²`
        cells, row by row, are `(image, text)`, or `None` without images.
    """
    side = int(np.sqrt(len(found.vectors) / IN_CELL)) if found else 0
    if side < SIDES[0] or model.encoder.features == "map":
        return None
    side = min(side, SIDES[1])
    # Threads of OpenMP wait for each other: on busy cores for minutes.
    with threadpoolctl.threadpool_limits(1, "openmp"):
        places = TSNE(init="pca", random_state=0).fit_transform(found.vectors)
    places = (places - places.min(0)) / np.ptp(places, axis=0)
    columns, rows = np.minimum(side * places, side - 1).astype("int64").T
    of = rows * side + columns
    used = np.unique(of)
    means = [found.vectors[of == cell].mean(0) for cell in used]
    made = passes.decode(model, to_sphere(np.asarray(means, "float32")))
    if max(made.shape[1:3]) > CELL:
        made = fitted(to_pixels(made), CELL)
    cells = [None] * side**2
    for cell, image in zip(used, made):
        labels = found.labels[of == cell]
        names, counts = np.unique(labels[labels >= 0], return_counts=True)
        text = html.count(len(labels), "image")
        if len(names):
            text += f", most often {found.name(names[np.argmax(counts)])}"
        cells[cell] = image, text
    return side, cells


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
