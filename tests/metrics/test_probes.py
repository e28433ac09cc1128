"""Probes of features, and subspaces of classes, against scikit-learn."""

import numpy as np
import pytest
from scipy import linalg
from scipy.stats import ortho_group
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.decomposition import TruncatedSVD
from sklearn.neighbors import KNeighborsClassifier

from keras_csc.metrics import knn_accuracy
from keras_csc.metrics import linear_probe_accuracy
from keras_csc.metrics import nearest_subspace_accuracy
from keras_csc.metrics import pooled_codes
from keras_csc.metrics import subspace_angles


@pytest.fixture(scope="module")
def digits():
    features, labels = load_digits(return_X_y=True)
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    return features[:600], labels[:600], features[600:900], labels[600:900]


def test_angles_agree_with_the_singular_values_of_the_definition():
    features, labels = load_digits(return_X_y=True)
    angles = subspace_angles(features[:600], labels[:600], 7)
    bases = [
        TruncatedSVD(7, algorithm="arpack")
        .fit(features[:600][labels[:600] == label])
        .components_
        for label in range(10)
    ]
    assert angles.shape == (10, 10, 7)
    for i in range(10):
        for j in range(10):
            cosines = linalg.svdvals(bases[i] @ bases[j].T)
            expected = np.arccos(np.clip(cosines, 0, 1))[::-1]
            np.testing.assert_allclose(angles[i, j], expected, atol=1e-6)


def subspace_features(rng, bases, n):
    labels = rng.integers(0, len(bases), n)
    weights = rng.normal(size=(n, bases.shape[2]))
    return np.einsum("ndk,nk->nd", bases[labels], weights), labels


def parent_accuracy(train, train_labels, test, test_labels, centered):
    """The parents' protocol, with scikit-learn's decompositions."""
    scores = []
    for label in range(10):
        examples = train[train_labels == label]
        if centered:
            pca = PCA(10).fit(examples)
            basis, mean = pca.components_, pca.mean_
        else:
            svd = TruncatedSVD(10, algorithm="arpack").fit(examples)
            basis, mean = svd.components_, 0
        projector = np.eye(train.shape[1]) - basis.T @ basis
        scores.append(np.linalg.norm((test - mean) @ projector, axis=1))
    return np.mean(np.argmin(scores, axis=0) == test_labels)


@pytest.mark.parametrize("centered", [False, True])
def test_nearest_subspace_follows_the_parents(digits, centered):
    value = nearest_subspace_accuracy(*digits, centered=centered)
    assert value == parent_accuracy(*digits, centered)
    assert value > 0.9
    several = nearest_subspace_accuracy(
        *digits, components=[1, 5, 10], centered=centered
    )
    assert several[2] == value
    assert several[1] == nearest_subspace_accuracy(
        *digits, components=5, centered=centered
    )


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
    for centered in (False, True):
        value = nearest_subspace_accuracy(
            train[kept], train_labels[kept], test, test_labels, 10, centered
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
def test_absent_class_counts_as_error(digits, probe):
    train, train_labels, test, test_labels = digits
    kept = train_labels != 3
    only = test_labels == 3
    arguments = train[kept], train_labels[kept], test[only], test_labels[only]
    assert probe(*arguments) == 0


@pytest.mark.parametrize("probe", PROBES)
def test_digits_are_recognised_whatever_the_label_names(digits, probe):
    train, train_labels, test, test_labels = digits
    value = probe(*digits)
    renamed = probe(train, 7 * train_labels + 3, test, 7 * test_labels + 3)
    assert value > 0.85
    assert value == renamed


def test_centered_knn_is_scikit_learns_of_cosines_about_the_mean(digits):
    """Features that share a large constant, which hides them from cosines."""
    train, train_labels, test, test_labels = digits
    constant = 20 * np.ones(train.shape[1])
    noisy = [
        part + np.random.default_rng(0).normal(0, 0.1, part.shape)
        for part in (train, test)
    ]
    train, test = (
        (part + constant)
        / np.linalg.norm(part + constant, axis=1, keepdims=True)
        for part in noisy
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


def test_pooled_codes_are_means_of_quadrants():
    codes = np.random.default_rng(0).normal(size=(3, 6, 4, 5))
    parts = [np.maximum(codes, 0), np.maximum(-codes, 0)]
    halves = [
        np.concatenate(
            [p[:, i : i + 3, j : j + 2].mean(axis=(1, 2)) for p in parts], 1
        )
        for i in (0, 3)
        for j in (0, 2)
    ]
    np.testing.assert_allclose(
        pooled_codes(codes.astype("float32")),
        np.concatenate(halves, axis=1),
        rtol=1e-5,
    )


def test_pooled_codes_of_maps_that_no_grid_divides():
    codes = np.ones((2, 3, 1, 4), "float32")
    np.testing.assert_allclose(
        pooled_codes(codes), np.tile([1.0] * 4 + [0.0] * 4, (2, 2)), rtol=1e-6
    )
