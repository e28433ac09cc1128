"""The networks that measure: a classifier of digits, and DINOv2."""

import warnings

import keras
import keras_hub
import numpy as np
import pytest
from PIL import Image

from keras_csc import data
from keras_csc.evaluation import ImageClassifier
from keras_csc.evaluation import classifier_extractor
from keras_csc.evaluation import dinov2_extractor
from keras_csc.evaluation import fit_classifier
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


def seen_by_pillow(images):
    """What dgm-eval gives DINOv2: 8-bit RGB of 224x224, normalised."""
    pictures = [Image.fromarray(np.squeeze(each)) for each in images]
    resized = [
        each.convert("RGB").resize((224, 224), Image.Resampling.BICUBIC)
        for each in pictures
    ]
    mean, deviation = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    return (np.stack(resized) / 255.0 - mean) / deviation


@pytest.mark.parametrize("shape", [(32, 32, 3), (16, 16, 1), (500, 400, 3)])
def test_input_of_dinov2_is_that_of_pillow(shape):
    """Up to one grey value where Pillow's fixed point rounds otherwise."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (2, *shape), "uint8")
    seen = networks.dinov2_input(pixels / np.float32(127.5) - 1)
    off = np.abs(seen - seen_by_pillow(pixels)) * 255 * [0.229, 0.224, 0.225]
    assert np.max(off) < 1.01
    assert np.mean(off > 0.5) < 0.01


@pytest.fixture(scope="module")
def dinov2(tmp_path_factory):
    """A small random network, and the folder of its preset."""
    keras.utils.set_random_seed(7)
    network = keras_hub.models.DINOV2Backbone(
        patch_size=14,
        num_layers=2,
        hidden_dim=16,
        num_heads=2,
        intermediate_dim=32,
        position_embedding_shape=(224, 224, 3),
    )
    folder = tmp_path_factory.mktemp("dinov2") / "small"
    with warnings.catch_warnings():
        # NumPy's copy=False, in KerasHub.
        warnings.simplefilter("ignore", DeprecationWarning)
        network.save_to_preset(folder)
    return network, folder


def test_features_of_dinov2_are_the_class_token(dinov2):
    network, folder = dinov2
    images = data.load_arrays(digits("test"), 3)[0]
    extractor = dinov2_extractor(str(folder))
    (found,) = extractor(images, batch_size=2)
    seen = seen_by_pillow(images).astype("float32")
    expected = network({"images": seen})[:, 0]
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert np.min(np.std(expected, axis=0)) > 0.01
    hashed = extractor.about["sha256"]
    assert extractor.name == f"KerasHub small, weights {hashed[:12]}"


def test_what_is_no_dinov2_is_refused(tmp_path):
    for preset in ("dinov2_enormous", str(tmp_path)):
        with pytest.raises(ValueError, match=f"network '{preset}'. Give a"):
            dinov2_extractor(preset)
