"""The networks that measure: a classifier of digits, and InceptionV3."""

import hashlib
import inspect

import keras
import numpy as np
import pytest
from skimage.transform import resize

from keras_csc import data
from keras_csc.evaluation import ImageClassifier
from keras_csc.evaluation import classifier_extractor
from keras_csc.evaluation import fit_classifier
from keras_csc.evaluation import inception_extractor
from keras_csc.evaluation import networks

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
    done = []
    whole, _ = extractor(images)
    floats = np.where(images == 255, 5.0, images / np.float32(127.5) - 1)
    parts, _ = extractor(floats, batch_size=20, progress=done.append)
    np.testing.assert_allclose(parts, whole, rtol=1e-4, atol=1e-5)
    assert done == [20, 40, 50]


def test_bad_classifiers(tmp_path):
    other = tmp_path / "other.keras"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(other)
    with pytest.raises(ValueError, match="ImageClassifier.*Sequential"):
        classifier_extractor(other)
    other.write_bytes(b"rubbish")
    with pytest.raises(ValueError, match="other.keras is not the file of"):
        classifier_extractor(other)


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "random.weights.h5"
    path.write_bytes(b"random")
    return path


def images(side, channels=3):
    rng = np.random.default_rng(0)
    return rng.uniform(-1, 1, (2, side, side, channels)).astype("float32")


@pytest.mark.parametrize("channels", [1, 3])
def test_input_is_resized_bilinearly_with_half_pixel_centres(channels):
    """As scikit-image does in float64."""
    pictures = images(32, channels)
    expected = [
        resize(picture.astype("float64"), (299, 299), order=1, mode="edge")
        for picture in np.repeat(pictures, 3 // channels, axis=-1)
    ]
    seen = networks.inception_input(pictures)
    np.testing.assert_allclose(seen, expected, atol=1e-5)


def test_large_images_are_antialiased():
    """A checkerboard of pixels becomes grey, as it is seen from afar."""
    board = np.indices((897, 897)).sum(0) % 2 * 2.0 - 1.0
    seen = networks.inception_input(board[None, :, :, None])
    inside = seen[:, 1:-1, 1:-1]
    assert seen.shape == (1, 299, 299, 3)
    assert np.max(np.abs(inside)) < 0.1


@pytest.fixture
def network(monkeypatch):
    """A small one, with the layers that Keras's InceptionV3 has."""
    source = inspect.getsource(keras.applications.InceptionV3)
    assert 'GlobalAveragePooling2D(name="avg_pool")' in source
    keras.utils.set_random_seed(0)
    images_in = keras.Input((299, 299, 3))
    maps = keras.layers.Conv2D(8, 9, 9, activation="relu")(images_in)
    pooled = keras.layers.GlobalAveragePooling2D(name="avg_pool")(maps)
    classes = keras.layers.Dense(5, activation="softmax")(pooled)
    network = keras.Model(images_in, classes)
    monkeypatch.setattr(
        keras.applications, "InceptionV3", lambda weights: network
    )
    return keras.Model(images_in, [pooled, classes])


def test_features_and_probabilities_are_those_of_the_network(weights, network):
    pictures = images(32)
    found = inception_extractor(weights)(pictures, batch_size=1)
    expected = network(networks.inception_input(pictures))
    for each, other in zip(found, expected):
        np.testing.assert_allclose(each, other, rtol=1e-3)


def test_only_the_published_file_gets_the_name_of_imagenet(
    weights, network, monkeypatch
):
    hashed = hashlib.sha256(b"random").hexdigest()
    found = inception_extractor(weights)
    assert found.name == f"Keras InceptionV3, weights {hashed[:12]}"
    assert found.about["sha256"] == hashed
    assert found.about["file"] == "random.weights.h5"
    md5 = hashlib.md5(b"random").hexdigest()
    monkeypatch.setattr(networks, "INCEPTION_MD5", md5)
    published = inception_extractor(weights)
    assert published.name == "Keras InceptionV3, ImageNet"


def test_published_file_is_the_one_that_keras_loads():
    source = keras.applications.InceptionV3.__globals__
    assert networks.INCEPTION_URL == source["WEIGHTS_PATH"]


def test_other_files_are_refused(weights, monkeypatch):
    with pytest.raises(ValueError, match="is not a file of weights of"):
        inception_extractor(weights.with_name("missing.weights.h5"))

    def load(weights):
        """As Keras ends after seconds."""
        raise OSError("file signature not found")

    monkeypatch.setattr(keras.applications, "InceptionV3", load)
    with pytest.raises(ValueError, match="last layer: file signature"):
        inception_extractor(weights)
