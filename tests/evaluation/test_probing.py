"""Figures of features and of maps, also where classes are missing."""

import numpy as np
import pytest

from keras_csc import evaluation
from keras_csc.evaluation import probing
from keras_csc.evaluation.quality import class_figures
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import spread_weights


def test_figures_and_pictures_of_a_model_of_maps(tmp_path):
    model = small_autoencoder(features="map")
    spread_weights(model)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 8, 8, 1), np.uint8)
    labels = np.arange(40, dtype=np.int32) % 2
    found = evaluation.evaluate(model, images, labels, images, labels)
    assert found.features.shape == (40, 2, 2, 5)
    figures = found.figures
    again = model.encode(found.reconstructions).numpy()
    cosine = np.mean(np.sum(found.features * again, -1))
    assert figures["cosine"] == pytest.approx(cosine, abs=1e-5)
    assert figures["psnr_of"]["pca_components"] == 5
    evaluation.draw(model, found, images, labels, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"evaluation.png", "feature_similarity.png"} <= names


def features_and_labels():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 6)).astype("float32")
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return features, np.arange(60) % 3


def test_a_class_without_features_leaves_the_other_figures():
    features, labels = features_and_labels()
    pair = features, labels
    seen = np.where(labels[:, None] == 1, 0, features)
    found = probing.probe_figures(pair, (seen, labels), seen)
    assert 0 < found["linear_probe_accuracy"] <= 1


def test_same_class_is_of_labelled_images():
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
        right = rows.argmax(1)[labels >= 0] == labels[labels >= 0]
        assert found[name] == pytest.approx(np.mean(right))
    found = class_figures(judge, "images", "made", np.full(50, -1))
    assert set(found.values()) == {None}


def test_a_single_feature_has_no_subspaces():
    features, labels = features_and_labels()
    rows = features[:, :1]
    found = probing.probe_figures((rows, labels), (rows, labels), rows)
    assert found["nearest_subspace_accuracy"] is None
    assert found["reconstructed_nearest_subspace_accuracy"] is None
    assert found["nearest_subspace_components"] is None
