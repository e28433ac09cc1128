"""What is measured of images that a density makes, against its parts."""

import keras
import numpy as np
import pytest

from keras_csc import evaluation
from keras_csc import metrics
from keras_csc.evaluation import evaluating
from keras_csc.pixels import from_pixels
from tests.helpers.reference_loop import spread_autoencoder


def images_and_labels(count=40, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 8, 8, 1), np.uint8)
    return images, np.arange(count, dtype=np.int32) % 3


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = spread_autoencoder()
    model.fit_density(*images_and_labels(90, 1))
    return model


@pytest.fixture(scope="module")
def judge():
    """Says of an image how bright its quarters are, and a class by that."""

    def describe(images):
        features = keras.ops.average_pool(images, 4, 4)
        features = keras.ops.reshape(features, (-1, 4))
        return features, keras.ops.softmax(20 * features[:, :3])

    return evaluation.FeatureExtractor(describe, "judge", {})


def measured(model, judge=None, labels=None, own_classes=True):
    images, own = images_and_labels()
    return evaluating.sampling_figures(
        model,
        images,
        own if labels is None else labels,
        model.predict(from_pixels(images), verbose=0),
        images_and_labels(90, 1)[0],
        judge,
        own_classes,
    )


@pytest.mark.parametrize(
    "arguments",
    [{"own_classes": False}, {"labels": images_and_labels()[1] + 1}],
    ids=["classes", "labels"],
)
def test_those_of_other_data_are_not_asked_for(model, judge, arguments):
    found = measured(model, judge, **arguments)
    assert found.figures["same_class"] is None
    assert found.figures["same_class_of_images"] is None
    assert found.figures["distribution"]["frechet_distance"] > 0
    made = model.sample(40, np.full(40, -1), seed=0)
    np.testing.assert_allclose(found.images, made, atol=1e-6)


def test_figures_are_those_of_the_samples(model, judge):
    found = measured(model, judge)
    images, labels = images_and_labels()
    train = images_and_labels(90, 1)[0]
    made = model.sample(40, labels, seed=0)
    np.testing.assert_allclose(found.images, made, atol=1e-6)
    same = np.argmax(judge(np.array(made))[1], 1) == labels
    assert found.figures["same_class"] == pytest.approx(np.mean(same))
    for each, name in ((made, "samples"), (from_pixels(images), "images")):
        distances, indices = metrics.nearest_images(each, from_pixels(train))
        expected = pytest.approx(np.mean(distances), abs=1e-5)
        assert found.figures["nearest"][name] == expected
        if name == "samples":
            np.testing.assert_array_equal(found.nearest, train[indices])
    features = [judge(each)[0] for each in (images, np.array(made), train[:40])]
    distribution = found.figures["distribution"]
    for other, received in (
        (features[1], distribution),
        (features[2], distribution["of_training_images"]),
    ):
        expected = metrics.frechet_distance(features[0], other)
        assert received["frechet_distance"] == pytest.approx(expected, rel=1e-3)
        assert received["network"]["name"] == "judge"
