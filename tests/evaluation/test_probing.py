"""Figures of features of which some classes are not there, or nothing."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from keras_csc.evaluation import probing
from keras_csc.evaluation.quality import class_figures


def features_and_labels():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 6)).astype("float32")
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return features, np.arange(60) % 3


def test_a_class_without_features_leaves_the_other_figures():
    features, labels = features_and_labels()
    expected = probing.probe_figures(*[features, labels] * 2, features)
    assert 1 < expected["class_effective_rank"] < 6
    seen = np.where(labels[:, None] == 1, 0, features)
    found = probing.probe_figures(features, labels, seen, labels, seen)
    assert found["class_effective_rank"] is None
    assert found["subspace_angle"] is None
    assert 0 < found["linear_probe_accuracy"] <= 1


def test_same_class_is_scikit_learns_accuracy_of_labelled_images():
    rng = np.random.default_rng(0)
    probabilities, labels = rng.dirichlet(np.ones(4), 50), np.arange(50) % 5 - 1

    def judge(images):
        return None, probabilities[::-1] if images == "made" else probabilities

    judge.name = "judge"
    found = class_figures(judge, "images", "made", labels)
    for name, rows in (
        ("same_class_of_images", probabilities),
        ("same_class", probabilities[::-1]),
    ):
        expected = accuracy_score(
            labels, rows.argmax(1), sample_weight=labels >= 0
        )
        assert found[name] == pytest.approx(expected) and 0 < expected < 1
    found = class_figures(judge, "images", "made", np.full(50, -1))
    assert set(found.values()) == {None}


@pytest.mark.parametrize("size", [1, 2])
def test_subspaces_of_few_features(size):
    features, labels = features_and_labels()
    rows = features[:, :size]
    found = probing.feature_accuracies(*[rows, labels] * 2, rows)
    by_components = found["nearest_subspace_by_components"]
    assert list(by_components) == ["1"][: size - 1]
    if size == 1:
        assert found["nearest_subspace_accuracy"] is None
        assert found["reconstructed_nearest_subspace_accuracy"] is None
