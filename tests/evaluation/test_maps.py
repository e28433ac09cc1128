"""What is measured of maps: all places of an image as one row."""

import numpy as np
import pytest

from keras_csc import evaluation
from keras_csc.evaluation import probing
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import spread_weights


def test_part_for_the_classes_is_that_of_every_place():
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(4, 2, 2, 5)).astype("float32")
    part = probing.class_part_of(maps, 3)
    first = maps[..., :3] / np.linalg.norm(
        maps[..., :3], axis=-1, keepdims=True
    )
    np.testing.assert_allclose(part, first.reshape(4, -1) / 2, rtol=1e-5)


def test_figures_and_pictures_of_a_model_of_maps(tmp_path):
    model = small_autoencoder(features="map")
    spread_weights(model)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 8, 8, 1), np.uint8)
    labels = np.arange(40, dtype=np.int32) % 2
    found = evaluation.evaluate(
        model, images, labels, images, labels, class_features=2
    )
    assert found.features.shape == (40, 2, 2, 5)
    figures = found.figures
    again = model.encode(found.reconstructions).numpy()
    cosine = np.mean(np.sum(found.features * again, -1))
    assert figures["cosine"] == pytest.approx(cosine, abs=1e-5)
    assert figures["psnr_of"]["pca_components"] == 5
    assert figures["class_part"]["features"] == 2
    evaluation.draw(
        model,
        images,
        found.reconstructions,
        found.features,
        labels,
        2,
        tmp_path,
    )
    names = {path.name for path in tmp_path.iterdir()}
    assert {"evaluation.png", "class_part_similarity.png"} <= names
