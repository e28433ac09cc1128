"""Features against brute force, and probes of them against scikit-learn."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import ortho_group
from sklearn.datasets import load_digits
from sklearn.decomposition import TruncatedSVD
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import normalize

from keras_csc.metrics import class_similarity
from keras_csc.metrics import effective_rank
from keras_csc.metrics import knn_accuracy
from keras_csc.metrics import linear_probe_accuracy
from keras_csc.metrics import nearest_subspace_accuracy
from keras_csc.metrics import retrieval_rate


def sphere(n, d):
    return normalize(np.random.default_rng(0).normal(size=(n, d)))


def perturbed(features, scale):
    noise = np.random.default_rng(1).normal(size=features.shape)
    return features + scale * noise


def brute_force_retrieval(features, reconstructed):
    hits = 0
    for i, query in enumerate(reconstructed):
        own = np.linalg.norm(query - features[i])
        others = np.delete(features, i, axis=0)
        hits += all(np.linalg.norm(query - other) > own for other in others)
    return hits / len(features)


@pytest.mark.parametrize("origin", [0, 1e4])
def test_ties_are_misses(origin):
    """Also where distances from a matrix product are rounding errors."""
    features = origin + sphere(6, 300)
    features[3] = features[2]
    assert retrieval_rate(features, features) == pytest.approx(4 / 6)
    collapsed = np.repeat(features[:1], 6, axis=0)
    assert retrieval_rate(features, collapsed) == pytest.approx(1 / 6)
    assert retrieval_rate(collapsed, features) == 0
    assert retrieval_rate(features[:1], features[1:2]) == 1


@pytest.mark.parametrize("shape", [(40, 5), (40, 4, 5, 3)])
def test_retrieval_agrees_with_brute_force(shape):
    images = np.random.default_rng(2).uniform(-1, 1, shape)
    images[7] = images[8]
    made = perturbed(images, 0.8).astype("float32")
    images = images.astype("float32")
    value = retrieval_rate(images, made)
    rows = (each.reshape(40, -1).astype("float64") for each in (images, made))
    assert value == brute_force_retrieval(*rows)
    assert value < 1


def test_effective_rank_agrees_with_the_definition():
    features = sphere(30, 6) * np.arange(1, 7)
    p = np.sqrt(np.linalg.eigvalsh(features.T @ features))
    p = p / np.sum(p)
    expected = np.exp(-np.sum(p * np.log(p)))
    assert effective_rank(features) == pytest.approx(expected, rel=1e-9)
    assert effective_rank(np.ones((20, 3))) == pytest.approx(1, abs=1e-9)
    assert effective_rank(np.zeros((5, 3))) == 0


def test_tensors_of_half_precision():
    features = tf.cast(sphere(20, 4), "bfloat16")
    assert retrieval_rate(features, features) == 1
    assert 1 < effective_rank(features) <= 4


# === Classes ===


def test_class_similarity_is_the_mean_over_pairs():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(30, 6)), rng.integers(0, 3, 30)
    means, classes = class_similarity(features, labels)
    cosines = np.abs(cosine_similarity(features))
    np.testing.assert_array_equal(classes, np.unique(labels))
    for i, one in enumerate(classes):
        for j, other in enumerate(classes):
            block = cosines[labels == one][:, labels == other]
            if i == j:
                block = block[~np.eye(len(block), dtype=bool)]
            assert means[i, j] == pytest.approx(block.mean(), abs=1e-6)
    means, _ = class_similarity(features[:3], [0, 1, 1])
    assert np.isnan(means[0, 0]) and not np.isnan(means[1, 1])


@pytest.fixture(scope="module")
def digits():
    features, labels = load_digits(return_X_y=True)
    features = normalize(features)
    return features[:600], labels[:600], features[600:900], labels[600:900]


def subspace_features(rng, bases, n):
    labels = rng.integers(0, len(bases), n)
    weights = rng.normal(size=(n, bases.shape[2]))
    return np.einsum("ndk,nk->nd", bases[labels], weights), labels


@pytest.mark.parametrize("components", [1, 10])
def test_nearest_subspace_follows_the_parents(digits, components):
    """Their protocol, with scikit-learn's decomposition."""
    train, train_labels, test, test_labels = digits
    scores = []
    for label in range(10):
        svd = TruncatedSVD(components, algorithm="arpack")
        basis = svd.fit(train[train_labels == label]).components_
        projector = np.eye(train.shape[1]) - basis.T @ basis
        scores.append(np.linalg.norm(test @ projector, axis=1))
    expected = np.mean(np.argmin(scores, axis=0) == test_labels)
    value = nearest_subspace_accuracy(*digits, components=components)
    assert value == expected > 0.8


def test_excess_components_do_not_spoil_a_subspace():
    rng = np.random.default_rng(0)
    bases = ortho_group.rvs(12, random_state=0).reshape(12, 4, 3)
    bases = bases.transpose(1, 0, 2)
    train, train_labels = subspace_features(rng, bases, 80)
    test, test_labels = subspace_features(rng, bases, 40)
    arguments = train.astype("float32"), train_labels, test, test_labels
    assert nearest_subspace_accuracy(*arguments, components=8) == 1


def test_class_with_fewer_examples_than_components(digits):
    train, train_labels, test, test_labels = digits
    few = np.flatnonzero(train_labels == 3)[:1]
    kept = np.concatenate([np.flatnonzero(train_labels != 3), few])
    value = nearest_subspace_accuracy(
        train[kept], train_labels[kept], test, test_labels
    )
    assert 0.8 < value < 1


PROBES = [nearest_subspace_accuracy, knn_accuracy, linear_probe_accuracy]


@pytest.mark.parametrize("probe", PROBES)
def test_unlabelled_rows_are_left_out(digits, probe):
    train, train_labels, test, test_labels = digits
    expected = probe(train[:300], train_labels[:300], test, test_labels)
    hidden = np.where(np.arange(len(train)) < 300, train_labels, -1)
    rubbish = np.where(hidden[:, None] == -1, np.nan, train)
    more = np.concatenate([test, test[:5]])
    more_labels = np.concatenate([test_labels, np.full(5, -1)])
    assert probe(rubbish, hidden, more, more_labels) == expected


@pytest.mark.parametrize("probe", PROBES)
def test_labels_are_names_and_an_absent_class_is_an_error(digits, probe):
    train, train_labels, test, test_labels = digits
    value = probe(*digits)
    renamed = probe(train, 7 * train_labels + 3, test, 7 * test_labels + 3)
    assert value == renamed > 0.85
    kept, only = train_labels != 3, test_labels == 3
    arguments = train[kept], train_labels[kept], test[only], test_labels[only]
    assert probe(*arguments) == 0


def test_centered_knn_is_scikit_learns_of_cosines_about_the_mean(digits):
    """Features that share a large constant, which hides them from cosines."""
    train, train_labels, test, test_labels = digits
    rng = np.random.default_rng(0)
    train, test = (
        normalize(part + 20 + rng.normal(0, 0.1, part.shape))
        for part in (train, test)
    )
    neighbors = KNeighborsClassifier(5, metric="cosine", algorithm="brute")
    mean = train.mean(axis=0)
    expected = neighbors.fit(train - mean, train_labels).score(
        test - mean, test_labels
    )
    value = knn_accuracy(train, train_labels, test, test_labels, centered=True)
    assert value == pytest.approx(expected, abs=1 / len(test))
    assert value != knn_accuracy(train, train_labels, test, test_labels)


def test_centered_knn_of_equal_features():
    ones, labels = np.ones((6, 3)), np.array([0, 0, 0, 1, 1, 1])
    value = knn_accuracy(ones, labels, ones, labels, 6, centered=True)
    assert value == 0.5


# === Refusals ===

FEATURES = np.random.default_rng(0).normal(size=(9, 4))
LABELS = np.arange(9) % 3
SETS = FEATURES, LABELS, FEATURES, LABELS


def refusals():
    yield retrieval_rate, (FEATURES, FEATURES[1:]), "same shape.*9, 4.*8, 4"
    for probe in PROBES:
        few = FEATURES, LABELS[1:], FEATURES, LABELS
        yield probe, few, r"\(9, 4\) and \(8,\)"
        none = FEATURES, LABELS, FEATURES, np.full(9, -1)
        yield probe, none, "9 rows, all unlabelled"
        wrong = FEATURES, LABELS, FEATURES * np.nan, LABELS
        yield probe, wrong, "finite"
    for components in (0, 4):
        yield PROBES[0], (*SETS, components), "`components`"


@pytest.mark.parametrize("metric, arguments, message", list(refusals()))
def test_what_else_would_be_another_figure(metric, arguments, message):
    with pytest.raises(ValueError, match=message):
        metric(*arguments)
