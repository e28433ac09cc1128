"""A person's pictures: what tells their folders apart, and which are doubtful.

Every picture is judged by a classifier of other pictures.
"""

import collections
import math

import keras
import numpy as np
from scipy.signal import convolve2d
from sklearn.cluster import KMeans

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
# A page has so many pictures in a row, doubts, and classes in one table, and at
# most so many typical pictures, so that it weighs less than 6 MB.
ROW, DOUBTS, MOST_CELLS, TYPICAL = 8, 24, 20, 240
COMPARED = 1000  # pictures at once
TWINS = 0.999  # least cosine
FOR, AGAINST = np.array([194, 69, 45]), np.array([31, 111, 180])

Sorted = collections.namedtuple(
    "Sorted",
    [
        *("images", "labels", "names", "files"),
        *("features", "ridge", "nearest", "cosines", "strangers"),
    ],
)
Sorted.__doc__ = """What `sort_pictures` finds.

Fields:
    images: uint8 array `(count, height, width, channels)`.
    labels: ints `(count,)`: the folder, or without folders a group.
    names: list of str, of the folders or groups.
    files: list of str.
    features: `SparseFeatures`.
    ridge: `features.ridge.Ridge`; `None` without folders.
    nearest: ints `(count, k)`, the most alike of the other pictures.
    cosines: floats `(count, k)`, of these pictures.
    strangers: dict, or `None` without folders. A picture counts as belonging
        to no folder if the cosine of its nearest picture is below `threshold`.
        `rejected` is the share of pictures that count so beside all others,
        `noticed` without the others of their folder.
"""


def sort_pictures(images, labels, names, files, groups=10, seed=0):
    """Fits features and a classifier to pictures, and looks at each of them.

    Args:
        images: uint8 array `(count, height, width, 1 or 3)`.
        labels: ints `(count,)`, or `None` for pictures without folders.
        names: list of str, of the folders; `None` without.
        files: list of str, of the pictures.
        groups: int, how many groups are made where there are no folders.
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
    if labels is None:
        count = min(groups, len(images))
        means = KMeans(count, n_init=4, random_state=seed).fit(vectors)
        labels, ridge = means.labels_, None
        names = [f"group {number}" for number in range(1, count + 1)]
    else:
        ridge = ridge_classifier(found, labels, seed=seed)
    nearest, cosines, others = _neighbours(vectors, labels)
    strangers = None
    if ridge:
        threshold = float(np.quantile(cosines[:, 0], REJECTED))
        strangers = {
            "threshold": threshold,
            "rejected": float(np.mean(cosines[:, 0] < threshold)),
            "noticed": float(np.mean(others < threshold)),
        }
    given = images, labels, names, files, features, ridge
    return Sorted(*given, nearest, cosines, strangers)


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
    """From images to probabilities of folders; to features without folders."""
    if not found.ridge:
        return found.features
    made = keras.Sequential([found.features, found.ridge.layer])
    made.build((None, *found.images.shape[1:]))
    return made


def doubts(found):
    """Pictures that are judged otherwise than their folder says.

    Returns:
        Numbers of pictures, the least probable of its folder first.
    """
    probabilities = found.ridge.probabilities
    own = probabilities[np.arange(len(found.labels)), found.labels]
    wrong = np.flatnonzero(probabilities.argmax(1) != found.labels)
    return wrong[np.argsort(own[wrong])]


def record(found):
    """What was found of every picture, for JSON."""
    rows = []
    for number, file in enumerate(found.files):
        row = {"file": file, "folder": found.names[found.labels[number]]}
        if found.ridge:
            probabilities = found.ridge.probabilities[number]
            row["probabilities"] = {
                found.names[each]: round(float(probabilities[each]), 4)
                for each in np.argsort(-probabilities)[:5]
            }
        row["nearest"] = [
            {"file": found.files[other], "cosine": round(float(cosine), 4)}
            for other, cosine in zip(
                found.nearest[number], found.cosines[number]
            )
        ]
        rows.append(row)
    return rows


def evidence(found, number, label):
    """Where a picture speaks for a class, and where for its own folder.

    By the classifier that did not see the picture, the class is `q` times as
    probable as the folder. The shares of all places add up to `log q`, but for
    a number that is alike for all pictures.

    Returns:
        float array `(height, width)`, the share of each patch spread over it.
    """
    kernel = found.ridge.layers[found.ridge.fold_of[number]].get_weights()[0]
    weights = kernel[:, label] - kernel[:, found.labels[number]]
    image = from_pixels(found.images[number : number + 1])
    places = found.features.evidence(image, weights)[0]
    size = found.features.kernel_size
    return convolve2d(places, np.full((size, size), size**-2))


def drawn(image, shares):
    """A picture in grey, red where shares are above 0, blue where below."""
    grey = 90 + 0.5 * image.mean(-1, keepdims=True)
    strength = np.abs(shares) / max(np.quantile(np.abs(shares), 0.99), 1e-9)
    strength = 0.8 * np.minimum(strength, 1)[..., None]
    colour = np.where(shares[..., None] > 0, FOR, AGAINST)
    return np.rint(grey + strength * (colour - grey)).astype("uint8")


def page(found, title):
    """Text of an HTML page of what was found."""
    parts = {"accuracy": None, "pairs": [], "doubts": [], "strangers": []}
    by_class = [
        np.flatnonzero(found.labels == n) for n in range(len(found.names))
    ]
    if found.ridge:
        probabilities = found.ridge.probabilities
        judged = probabilities.argmax(1)
        counts = np.zeros((len(found.names),) * 2, int)
        np.add.at(counts, (found.labels, judged), 1)
        wrong = doubts(found)
        alone = np.argsort(found.cosines[:, 0])
        parts |= {
            "accuracy": accuracy(found),
            "counts": counts if len(counts) <= MOST_CELLS else None,
            "pairs": _confused(counts),
            "doubts": [
                _doubt(found, number, judged) for number in wrong[:DOUBTS]
            ],
            "wrong": len(wrong),
            "twins": int(np.sum(found.cosines[:, 0] > TWINS)),
            "strangers": alone[:ROW],
        }
        by_class = [
            rows[np.argsort(-probabilities[rows, label])]
            for label, rows in enumerate(by_class)
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
        **parts,
    )


def _doubt(found, number, judged):
    label = judged[number]
    shares = evidence(found, number, label)
    return {
        "number": number,
        "name": found.names[label],
        "share": found.ridge.probabilities[number, label],
        "picture": drawn(found.images[number], shares),
    }


def _confused(counts):
    """The most frequent mistakes: `(count, folder, judged as)`."""
    pairs = [
        (int(counts[pair]), *pair)
        for pair in np.ndindex(counts.shape)
        if pair[0] != pair[1] and counts[pair]
    ]
    return sorted(pairs, reverse=True)[:10]
