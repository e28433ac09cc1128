import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from keras_csc.metrics import knn_accuracy
from keras_csc.metrics import linear_probe_accuracy
from keras_csc.metrics import nearest_subspace_accuracy
from keras_csc.metrics import pooled_codes

PROBES = [nearest_subspace_accuracy, knn_accuracy, linear_probe_accuracy]


@pytest.fixture(scope="module")
def digits():
    features, labels = load_digits(return_X_y=True)
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    return features[:600], labels[:600], features[600:900], labels[600:900]


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
