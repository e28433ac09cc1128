"""The network that measures: a classifier of digits."""

import keras
import numpy as np
import pytest

from keras_csc import data
from keras_csc.evaluation import ImageClassifier
from keras_csc.evaluation import classifier_extractor
from keras_csc.evaluation import fit_classifier

SHAPE = (16, 16, 1)


def digits(split):
    return data.open_dataset("digits", split, SHAPE)


def trained(steps=80):
    classifier = ImageClassifier(SHAPE, 10, filters=(8, 16))
    fit_classifier(classifier, data.batches(digits("train"), 64), steps)
    return classifier


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    classifier = trained()
    classifier.record = {"dataset": "digits", "test_accuracy": 0.75}
    path = tmp_path_factory.mktemp("classifier") / "digits.keras"
    classifier.save(path)
    return classifier, path


def test_it_learns_digits(saved):
    images, labels = data.load_arrays(digits("test"))
    logits = saved[0].predict(images / 127.5 - 1.0, verbose=0)
    expected = np.mean(np.argmax(logits, axis=1) == labels)
    batches = data.evaluation_batches(digits("test"), 100)
    _, accuracy = saved[0].evaluate(batches, verbose=0)
    assert accuracy == pytest.approx(expected, abs=1e-6)
    assert accuracy > 0.5


def test_features_and_probabilities_of_the_saved_file(saved):
    """By hand from the layers' weights after the last convolution."""
    classifier, path = saved
    images = data.load_arrays(digits("test"), 70)[0]
    extractor = classifier_extractor(path)
    features, probabilities = extractor(images, batch_size=32)
    assert features.shape == (70, 16) and probabilities.shape == (70, 10)
    logits = classifier.predict(images / 127.5 - 1.0, verbose=0)
    kernel, bias = map(np.asarray, classifier.head.weights)
    np.testing.assert_allclose(features @ kernel + bias, logits, atol=1e-4)
    expected = np.exp(logits - logits.max(1, keepdims=True))
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    assert extractor.name == "classifier of digits, test accuracy 0.750"
    assert extractor.about["dataset"] == "digits"
    assert len(extractor.about["sha256"]) == 64


def test_batches_and_floats_change_nothing(saved):
    images = data.load_arrays(digits("test"), 50)[0]
    extractor = classifier_extractor(saved[1])
    whole, _ = extractor(images)
    floats = np.where(images == 255, 5.0, images / np.float32(127.5) - 1)
    parts, _ = extractor(floats, batch_size=20)
    np.testing.assert_allclose(parts, whole, rtol=1e-4, atol=1e-5)


def test_bad_classifiers(saved, tmp_path):
    other = tmp_path / "other.keras"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(other)
    with pytest.raises(ValueError, match="ImageClassifier.*Sequential"):
        classifier_extractor(other)
    flipped = bytearray(saved[1].read_bytes())
    flipped[len(flipped) // 2] ^= 1
    for damaged in (b"rubbish", other.read_bytes()[:-100], flipped):
        other.write_bytes(damaged)
        with pytest.raises(ValueError, match="other.keras is not the file of"):
            classifier_extractor(other)
