"""A person's pictures: what tells their folders apart, and which are doubtful.

Every picture is judged by a classifier of other pictures.
"""

import collections
import math

import keras
import numpy as np

from keras_csc import html
from keras_csc.features.ridge import ridge_classifier
from keras_csc.features.sparse_features import BATCH
from keras_csc.features.sparse_features import FITTED
from keras_csc.features.sparse_features import SparseFeatures
from keras_csc.pixels import from_pixels
from keras_csc.terminal import Progress
from keras_csc.version import __version__

FILTERS, NEIGHBOURS = 1600, 6
# Share of a folder's own pictures that count as strangers.
REJECTED = 0.05
# A page has so many pictures in a row, alike ones of a folder, doubts with
# pictures, and classes in one table, and at most so many typical pictures, so
# that it weighs less than 6 MB.
ROW, ALIKE, DOUBTS, MOST_CELLS, TYPICAL = 8, 3, 50, 20, 240
COMPARED = 1000  # pictures at once
TWINS = 0.999  # least cosine
LEAST = 1e-30  # of a probability in a quotient, or of a norm

Sorted = collections.namedtuple(
    "Sorted",
    [
        *("images", "labels", "names", "files"),
        *("features", "ridge", "vectors", "nearest", "cosines"),
        *("likeness", "strangers"),
    ],
)
Sorted.__doc__ = """What `sort_pictures` finds.

Fields:
    images: uint8 array `(count, height, width, channels)`.
    labels: ints `(count,)`: the folder.
    names: list of str, of the folders.
    files: list of str.
    features: `SparseFeatures`.
    ridge: `features.ridge.Ridge`.
    vectors: floats `(count, dimensions)`, of norm 1, whose cosines say how
        alike pictures are. A cosine is the mean of two: the cosine of
        `SparseFeatures.embed`, and the cosine of the scores, centred, of the
        classifiers that did not see the pictures.
    nearest: ints `(count, k)`, the most alike of the other pictures.
    cosines: floats `(count, k)`, of these pictures.
    likeness: floats `(count,)`, the greatest cosine of `embed` with another
        picture.
    strangers: dict. A picture counts as belonging to no folder if its
        likeness is below `threshold`.
        `rejected` is the share of pictures that count so beside all others,
        `noticed` without the others of their folder.
"""
Doubts = collections.namedtuple(
    "Doubts", ["numbers", "most", "own", "other", "folder", "ratio"]
)
Doubts.__doc__ = """What `doubts` finds.

Fields:
    numbers: ints, of the doubtful pictures, the greatest ratio first.
    most: int, how many are doubtful at most if all are filed rightly.
    own: floats `(count,)`, the probability of each picture's folder.
    other: floats `(count,)`, the probability of the likeliest other folder.
    folder: ints `(count,)`, this other folder.
    ratio: floats `(count,)`, `other / own`.
"""


def sort_pictures(images, labels, names, files, seed=0):
    """Fits features and a classifier to pictures, and looks at each of them.

    Args:
        images: uint8 array `(count, height, width, 1 or 3)`.
        labels: ints `(count,)`, the folders.
        names: list of str, of the folders.
        files: list of str, of the pictures.
        seed: int.

    Returns:
        `Sorted`.

    Raises:
        ValueError: for a folder of fewer than two pictures.
    """
    features = SparseFeatures(images.shape[1:], FILTERS)
    features.fit_atoms(from_pixels(images[:FITTED]), seed)
    found, progress = [], Progress("Reading pictures", len(images))
    for start in range(0, len(images), BATCH):
        batch = from_pixels(images[start : start + BATCH])
        found.append(features.predict_on_batch(batch))
        progress.advance(len(batch))
    found = np.concatenate(found)
    features.fit_components(found[:FITTED], seed)
    vectors = np.asarray(features.vectors(found))
    ridge = ridge_classifier(found, labels, seed=seed)
    _, cosines, others = _neighbours(vectors, labels)
    likeness = cosines[:, 0]
    threshold = float(np.quantile(likeness, REJECTED))
    strangers = {
        "threshold": threshold,
        "rejected": float(np.mean(likeness < threshold)),
        "noticed": float(np.mean(others < threshold)),
    }
    vectors = _with_scores(vectors, ridge.probabilities)
    nearest, cosines, _ = _neighbours(vectors, labels)
    given = images, labels, names, files, features, ridge, vectors
    return Sorted(*given, nearest, cosines, likeness, strangers)


def _with_scores(vectors, probabilities):
    """Vectors whose cosines are the means of two: of these, and of scores."""
    scores = np.log(np.maximum(probabilities, LEAST))
    scores -= scores.mean(1, keepdims=True)
    scores /= np.maximum(np.linalg.norm(scores, axis=1, keepdims=True), LEAST)
    return np.concatenate([vectors, scores], 1) / math.sqrt(2)


def _neighbours(vectors, labels):
    """The most alike others, their cosines, and the best of other classes."""
    nearest, cosines, others = [], [], []
    count = min(NEIGHBOURS, len(vectors) - 1)
    for start in range(0, len(vectors), COMPARED):
        rows = np.arange(start, min(start + COMPARED, len(vectors)))
        found = vectors[rows] @ vectors.T
        found[np.arange(len(rows)), rows] = -np.inf
        order = np.argsort(-found, axis=1)[:, :count]
        nearest.append(order)
        cosines.append(np.take_along_axis(found, order, 1))
        found[labels[rows][:, None] == labels] = -1
        others.append(found.max(1))
    return tuple(map(np.concatenate, (nearest, cosines, others)))


def accuracy(found):
    """Share of pictures that are judged as their folder says, and its error.

    The error is half of a 95 % confidence interval.

    Reference:
        Wilson, Probable inference, JASA 1927.
    """
    right = found.ridge.probabilities.argmax(1) == found.labels
    count, share, z = len(right), right.mean(), 1.96
    spread = math.sqrt(share * (1 - share) / count + (z / 2 / count) ** 2)
    return float(share), z * spread / (1 + z**2 / count)


def model(found):
    """From images to probabilities of folders."""
    made = keras.Sequential([found.features, found.ridge.layer])
    made.build((None, *found.images.shape[1:]))
    return made


def doubts(labels, ridge, false_alarms=0.05):
    """Which pictures may be filed wrongly.

    The ratio of a picture in folder `y` is `r = max_{k≠y} p_k / p_y`, by the
    classifier that did not see the picture. A picture is doubtful if

        r > max(1, t),   t = the quantile 1 - α of the ratios of all pictures.

    So at most `⌈α n⌉` of `n` pictures are doubtful. If all are filed rightly,
    the share of false alarms is at most `α`, up to rounding, for any
    classifier. Misfiled pictures are among the `n`, as nobody knows them. They
    raise `t`: then fewer than `α n` are false alarms. If more than `α n` are
    misfiled, not all are noticed. Then move the doubtful ones and sort again,
    or choose a larger `α`.

    Args:
        labels: ints `(count,)`, the folders.
        ridge: `features.ridge.Ridge`, of these labels.
        false_alarms: float `α` in [0, 1]. With 1, all pictures are doubtful for
            which another folder is more probable.

    Returns:
        `Doubts`.
    """
    count = len(labels)
    others = ridge.probabilities.astype("float64")
    own = np.maximum(others[np.arange(count), labels], LEAST)
    others[np.arange(count), labels] = -1
    other = others.max(1)
    ratio = other / own
    most = math.ceil(round(false_alarms * count, 6))
    order = np.argsort(-ratio, kind="stable")[:most]
    numbers = order[ratio[order] > 1]
    return Doubts(numbers, most, own, other, others.argmax(1), ratio)


def record(found, doubtful):
    """What was found of every picture, with `Doubts`, for JSON."""
    rows = []
    for number, file in enumerate(found.files):
        probabilities = found.ridge.probabilities[number]
        row = {
            "file": file,
            "folder": found.names[found.labels[number]],
            "probability": float(f"{doubtful.own[number]:.4g}"),
            "other_folder": found.names[doubtful.folder[number]],
            "other_probability": float(f"{doubtful.other[number]:.4g}"),
            "doubtful": number in doubtful.numbers,
            "probabilities": {
                found.names[each]: round(float(probabilities[each]), 4)
                for each in np.argsort(-probabilities)[:5]
            },
        }
        row["nearest"] = [
            {"file": found.files[other], "cosine": round(float(cosine), 4)}
            for other, cosine in zip(
                found.nearest[number], found.cosines[number]
            )
        ]
        rows.append(row)
    return rows


def page(found, title, doubtful):
    """Text of an HTML page of what was found, with `Doubts`."""
    probabilities = found.ridge.probabilities
    counts = np.zeros((len(found.names),) * 2, int)
    np.add.at(counts, (found.labels, probabilities.argmax(1)), 1)
    by_class = [
        rows[np.argsort(-probabilities[rows, label])]
        for label in range(len(found.names))
        for rows in [np.flatnonzero(found.labels == label)]
    ]
    row = max(2, min(ROW, TYPICAL // len(found.names)))
    return html.template("sorted.html").render(
        found=found,
        title=title,
        version=__version__,
        classes=[
            (name, len(rows), rows[:row], rows[row:][-row // 2 :])
            for name, rows in zip(found.names, by_class)
        ],
        shown=np.random.default_rng(0).permutation(len(found.files))[:ROW],
        accuracy=accuracy(found),
        counts=counts if len(counts) <= MOST_CELLS else None,
        pairs=_confused(counts),
        doubts=doubtful,
        alike=[
            _alike(found, number, doubtful.folder[number])
            for number in doubtful.numbers[:DOUBTS]
        ],
        twins=int(np.sum(found.likeness > TWINS)),
        strangers=np.argsort(found.likeness)[:ROW],
    )


def _alike(found, number, other):
    """The pictures most alike a picture, of another folder and of its own."""
    cosines = found.vectors @ found.vectors[number]
    cosines[number] = -np.inf
    order = np.argsort(-cosines)[:-1]
    return [
        order[found.labels[order] == label][:ALIKE]
        for label in (other, found.labels[number])
    ]


def _confused(counts):
    """The most frequent mistakes: `(count, folder, judged as)`."""
    pairs = [
        (int(counts[pair]), *pair)
        for pair in np.ndindex(counts.shape)
        if pair[0] != pair[1] and counts[pair]
    ]
    return sorted(pairs, reverse=True)[:10]
