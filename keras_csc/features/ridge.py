"""A linear classifier in closed form, and what it says of unseen images."""

import collections

import keras
import numpy as np
from scipy.linalg import cho_factor
from scipy.linalg import cho_solve
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from keras_csc.validation import check_finite
from keras_csc.validation import check_integer

# Weights of the penalty that are tried, for standardised features.
PENALTIES = (10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e4)
LEAST_DEVIATION = 1e-6

Ridge = collections.namedtuple(
    "Ridge", ["layer", "layers", "fold_of", "probabilities", "penalty"]
)
Ridge.__doc__ = """A classifier, and what it is worth.

Fields:
    layer: `keras.layers.Dense` with softmax, from features to probabilities.
    layers: list of such layers, each of all images but the images of a fold.
    fold_of: ints `(images,)`.
    probabilities: float array `(images, classes)`, of each image by the layer
        that did not see it.
    penalty: float `μ`.
"""


def ridge_classifier(features, labels, folds=5, seed=0):
    """Least squares with a penalty, from features to classes.

    It finds `argmin_W ‖Y - X W‖² + μ‖W‖²`. The rows of `X` are standardised
    features. `Y` is 1 at an image's class and 0 elsewhere, less its mean.
    Images are dealt into folds. A classifier of the other folds judges the
    images of a fold. Its scores `s` choose `μ`. With at least as many images as
    features, only the first fold chooses. They also choose the temperature `T`
    of the probabilities `softmax(s / T)`, by the likelihood of the labels.

    Args:
        features: array `(images, features)`, held in memory.
        labels: ints `(images,)` from 0 on, at least two images of each class.
        folds: int, at least 2.
        seed: int, of the folds.

    Returns:
        `Ridge`.

    Raises:
        ValueError: for features that are not finite, and for labels that are
            not as above.

    References:
        Hastie, Tibshirani & Friedman, The elements of statistical learning,
        2009, sections 3.4 and 4.2; Guo et al., On calibration of modern neural
        networks, ICML 2017, section 4.2.
    """
    check_integer(2, folds=folds)
    labels = np.asarray(labels)
    if min(labels, default=-1) < 0 or np.bincount(labels).min() < 2:
        raise ValueError(
            "`labels` must be from 0 on, at least two images of each class. "
            f"Received: {dict(collections.Counter(labels.tolist()))}"
        )
    check_finite("features", features)
    program = _Program(features, labels)
    fold_of = _dealt(labels, folds, seed)

    def judged(fold, penalty):
        kernel = program.solved(fold_of != fold, penalty)
        return kernel, program.scores(fold_of == fold, kernel)

    # With many images, one fold and every other penalty are enough.
    some = range(folds) if program.few else [0]
    penalties = PENALTIES if program.few else PENALTIES[1::2]
    tried = {each: [judged(n, each) for n in some] for each in penalties}

    def right(penalty):
        return sum(
            np.sum(found.argmax(1) == labels[fold_of == fold])
            for fold, (_, found) in zip(some, tried[penalty])
        )

    penalty = max(penalties, key=right)
    found = tried[penalty]
    found += [judged(fold, penalty) for fold in range(len(found), folds)]
    scores = np.empty((len(labels), program.targets.shape[1]), "float32")
    for fold, (_, of_fold) in enumerate(found):
        scores[fold_of == fold] = of_fold
    temperature = _temperature(scores, labels)
    whole = program.solved(np.full(len(labels), True), penalty)
    return Ridge(
        program.layer(whole, temperature),
        [program.layer(kernel, temperature) for kernel, _ in found],
        fold_of,
        np.exp(log_softmax(scores / temperature, axis=1)),
        penalty,
    )


def _dealt(labels, folds, seed):
    """A fold for every image, such that each class is in all folds alike."""
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    found = np.empty(len(labels), "int64")
    found[order] = np.arange(len(labels)) % folds
    return found


def _temperature(scores, labels):
    """The temperature at which the labels are likeliest."""

    def surprise(logarithm):
        found = log_softmax(scores / np.exp(logarithm), axis=1)
        return -np.mean(found[np.arange(len(labels)), labels])

    return float(np.exp(minimize_scalar(surprise, (-3.0, 0.0)).x))


class _Program:
    """`argmin_W ‖Y - X W‖² + μ‖W‖²`, of all rows or of some.

    With fewer images than features it is solved by the products of images,
    otherwise by the products of features.
    """

    def __init__(self, features, labels):
        self.mean = features.mean(0)
        inputs = (features - self.mean).astype("float32", copy=False)
        # The same as `std`, which would take as much memory once more.
        squares = np.einsum("ij,ij->j", inputs, inputs)
        self.deviation = np.sqrt(squares / len(inputs)) + LEAST_DEVIATION
        inputs /= self.deviation
        self.inputs = inputs
        targets = np.eye(labels.max() + 1, dtype="float32")[labels]
        self.shares = targets.mean(0)
        self.targets = targets - self.shares
        self.few = len(inputs) < len(self.mean)
        if self.few:
            self.products = self.inputs @ self.inputs.T
        else:
            self.products = self.inputs.T @ self.inputs
            self.right = self.inputs.T @ self.targets

    def solved(self, rows, penalty):
        """`W` of the rows in a mask."""
        inputs, targets = self.inputs, self.targets
        if self.few:
            products = self.products[np.ix_(rows, rows)]
            return inputs[rows].T @ _solved(products, targets[rows], penalty)
        left_out = inputs[~rows]
        return _solved(
            self.products - left_out.T @ left_out,
            self.right - left_out.T @ targets[~rows],
            penalty,
        )

    def scores(self, rows, kernel):
        return self.inputs[rows] @ kernel + self.shares

    def layer(self, kernel, temperature):
        """A layer from features as they were given to probabilities."""
        kernel = kernel / self.deviation[:, None] / temperature
        layer = keras.layers.Dense(len(self.shares), activation="softmax")
        layer.build((None, len(kernel)))
        layer.set_weights(
            [kernel, self.shares / temperature - self.mean @ kernel]
        )
        return layer


def _solved(products, right, penalty):
    matrix = products + penalty * np.eye(len(products), dtype="float32")
    factor = cho_factor(matrix, overwrite_a=True, check_finite=False)
    return cho_solve(factor, right, check_finite=False)
