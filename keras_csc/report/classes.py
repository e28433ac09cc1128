"""Section of the classes: how alike they are, and what varies within one."""

import numpy as np
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from keras_csc import metrics
from keras_csc.evaluation import passes
from keras_csc.evaluation.probing import class_angles
from keras_csc.evaluation.probing import class_part_of
from keras_csc.html import element
from keras_csc.metrics.subspaces import principal_directions
from keras_csc.ops.sphere import to_sphere
from keras_csc.report.elements import figure
from keras_csc.report.elements import folded
from keras_csc.report.elements import paragraph
from keras_csc.report.elements import picture
from keras_csc.report.elements import section
from keras_csc.report.elements import shades
from keras_csc.report.elements import table
from keras_csc.report.images import screen_width
from keras_csc.visualization import class_similarity
from keras_csc.visualization.figures import within_and_between

IN_TABLE = 20  # classes whose matrix is a table of numbers
ROWS = 20  # of a list of pairs
WALKS = 24  # classes of which there is a row
DIRECTIONS = 3
DEVIATIONS = 2
BLUE = (46, 108, 200)


def classes(subject):
    """Section: similarities of classes; `None` without two of them."""
    found = subject.found
    if len(found.classes) < 2:
        return None
    known = found.labels >= 0
    labels = found.labels[known]
    sets = {"All features": found.vectors[known]}
    if subject.class_features:
        sets["The part that carries the classes"] = class_part_of(
            found.features[known], subject.class_features
        )
    matrices = [
        element(
            "div",
            element("h3", title),
            _similarity(title, found, *class_similarity(rows, labels)),
            class_="matrix",
        )
        for title, rows in sets.items()
    ]
    return section(
        "classes",
        "Classes",
        paragraph(
            "How alike the features of two classes are: the mean of the "
            "cosines of their images, without the sign. 1 is the same "
            "direction, 0 is orthogonal, which training aims at for different "
            "classes. On the diagonal are the images of one class."
        ),
        element("div", matrices, class_="matrices"),
    )


def _similarity(title, found, means, labels):
    names = [found.name(label) for label in labels]
    text = f"Means: {within_and_between(means)}."
    if len(names) <= IN_TABLE:
        return figure(_numbers(title, means, names), caption=text)
    order = _similar_together(means)
    return [
        figure(
            element(
                "img",
                src=shades(means[order][:, order], BLUE),
                alt=f"Matrix of {len(names)} classes, similar ones together; "
                "the lists below have its numbers",
                width=len(names),
                height=len(names),
                class_="large",
            ),
            caption=f"{len(names):,} classes, similar ones together. {text}",
        ),
        _pairs(means, names),
    ]


def _numbers(title, means, names):
    """A matrix as a table, whose cells are as blue as they are large."""
    head = element(
        "tr",
        element("td"),
        [element("th", element("span", name), scope="col") for name in names],
    )
    body = [
        element(
            "tr",
            element("th", name, scope="row"),
            [_cell(value) for value in row],
        )
        for name, row in zip(names, means)
    ]
    made = element(
        "table",
        element("thead", head),
        element("tbody", body),
        class_="heat",
    )
    return element(
        "div",
        made,
        class_="wide",
        tabindex=0,
        role="region",
        aria_label=f"Similarities of classes: {title}",
    )


def _cell(value):
    if not np.isfinite(value):
        return element("td", "–")
    text = "1" if value > 0.995 else f"{value:.2f}"[1:]
    return element("td", text, style=f"--share:{100 * value:.0f}%")


def _similar_together(means):
    """Classes in the order of a tree of averages."""
    distances = 1 - np.nan_to_num((means + means.T) / 2)
    np.fill_diagonal(distances, 0)
    tree = hierarchy.linkage(squareform(distances, checks=False), "average")
    return hierarchy.leaves_list(tree)


def _pairs(means, names):
    """The pairs of classes most alike, and of every class the nearest."""
    others = np.where(np.eye(len(names), dtype=bool), -1, np.nan_to_num(means))
    first, second = np.triu_indices(len(names), 1)
    order = np.argsort(-others[first, second], kind="stable")[:ROWS]
    top = [
        [
            names[first[n]],
            names[second[n]],
            f"{others[first[n], second[n]]:.2f}",
        ]
        for n in order
    ]
    nearest = np.argmax(others, axis=1)
    every = [
        [name, names[near], f"{others[number, near]:.2f}"]
        for number, (name, near) in enumerate(zip(names, nearest))
    ]
    head = ["class", "most like", "similarity"]
    return [
        table(top, ["class", "and", "similarity"]),
        folded("Every class and the one most like it", table(every, head)),
    ]


# === Subspaces ===


def subspaces(subject):
    """Section: what varies within the classes, as images."""
    found = subject.found
    groups = _groups(found)
    vectors = found.vectors
    angles = _nearest_classes(vectors, found.labels)
    walks = [_walk(vectors[numbers]) for _, numbers in groups]
    made = passes.decode(subject.model, np.concatenate(walks))
    ends = np.cumsum([len(walk) for walk in walks])[:-1]
    rows = []
    for (label, numbers), images in zip(groups, np.split(made, ends)):
        name = found.name(label) if label >= 0 else "all images"
        note = "has no features but 0"
        if np.any(vectors[numbers]):
            rank = metrics.effective_rank(vectors[numbers])
            note = f"spreads over {rank:.1f} directions"
        if label in angles:
            other, angle = angles[label]
            note += f"; nearest: {found.name(other)}, at {angle:.0f}°"
        rows.append(_row(name, note, images))
    return section(
        "subspaces",
        "What varies within a class" if angles else "What varies",
        paragraph(
            "The first image is drawn from the mean of the features. The pairs "
            f"beside it are {DEVIATIONS} standard deviations away from it, "
            f"backwards and forwards along the {DIRECTIONS} directions in "
            "which the features vary most. The decoder draws them; none was in "
            "the data."
        ),
        element("div", rows, class_="walks"),
    )


def _groups(found):
    """Labels with the rows that have them: the largest classes, or all."""
    known, counts = np.unique(
        found.labels[found.labels >= 0], return_counts=True
    )
    if len(known) < 2:
        return [(-1, np.arange(len(found.labels)))]
    most = np.sort(np.argsort(-counts, kind="stable")[:WALKS])
    return [(int(k), np.flatnonzero(found.labels == k)) for k in known[most]]


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


def _row(name, note, images):
    width = screen_width(images.shape[2], 64)
    places = ["mean"]
    for direction in range(1, 1 + len(images) // 2):
        places += [f"{direction} −", f"{direction} +"]
    pictures = [
        figure(picture(image, f"{name}, {place}", width), caption=place)
        for image, place in zip(images, places)
    ]
    return element(
        "div",
        element("h3", name, element("small", note)),
        element("div", pictures, class_="seven"),
    )


def _nearest_classes(vectors, labels):
    """Of every class the one at the smallest mean angle, in degrees."""
    known = np.unique(labels[labels >= 0])
    if not 2 <= len(known) <= WALKS:
        return {}
    angles = class_angles(vectors, labels)
    if angles is None:
        return {}
    angles = angles.mean(-1)
    np.fill_diagonal(angles, np.inf)
    nearest = np.argmin(angles, axis=1)
    return {
        int(label): (int(known[near]), float(angles[number, near]))
        for number, (label, near) in enumerate(zip(known, nearest))
    }
