"""The InceptionV3 extractor with random weights: plumbing, and names."""

import hashlib
import inspect

import keras
import numpy as np
import pytest
from skimage.transform import resize

from keras_csc.evaluation import inception_extractor
from keras_csc.evaluation import networks
from keras_csc.evaluation import passes
from keras_csc.pixels import from_pixels


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "random.weights.h5"
    path.write_bytes(b"random")
    return path


def images(side, channels=3):
    rng = np.random.default_rng(0)
    return rng.uniform(-1, 1, (2, side, side, channels)).astype("float32")


def test_pixels_are_uint8():
    pixels = np.array([[0, 51, 255]], "uint8")
    floats = passes.as_floats(pixels)
    np.testing.assert_allclose(floats, [[-1, -0.6, 1]], atol=1e-6)
    np.testing.assert_array_equal(passes.as_floats(floats), floats)
    with pytest.raises(ValueError, match="must be uint8.*of int64"):
        passes.as_floats(pixels.astype("int64"))
    with pytest.raises(ValueError, match="must be uint8.*of float32"):
        from_pixels(floats)


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
    shifted = networks.inception_input(pictures, ctrl_input=True)
    np.testing.assert_allclose(shifted, 2 * np.array(expected) - 1, atol=1e-5)


def test_large_images_are_antialiased():
    """A checkerboard of pixels becomes grey, as it is seen from afar."""
    board = np.indices((897, 897)).sum(0) % 2 * 2.0 - 1.0
    seen = networks.inception_input(board[None, :, :, None])
    inside = seen[:, 1:-1, 1:-1]
    assert seen.shape == (1, 299, 299, 3)
    assert np.max(np.abs(inside)) < 0.1


def test_features_and_probabilities_are_those_of_the_network(
    weights, monkeypatch
):
    """Of a small one, with the layers that Keras's InceptionV3 has."""
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
    extractor = inception_extractor(weights)
    pictures = images(32)
    features, probabilities = extractor(pictures, batch_size=1)
    assert features.shape == (2, 8) and probabilities.shape == (2, 5)
    kernel, bias = map(np.asarray, network.layers[-1].weights)
    logits = features @ kernel + bias
    expected = network(networks.inception_input(pictures), training=False)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-3)
    np.testing.assert_allclose(
        logits - logits.mean(1, keepdims=True),
        np.log(expected) - np.log(expected).mean(1, keepdims=True),
        rtol=1e-3,
        atol=1e-5,
    )


def test_only_the_published_file_gets_the_name_of_imagenet(
    weights, monkeypatch
):
    hashed = hashlib.sha256(b"random").hexdigest()
    identity = networks.inception_identity(weights)
    assert identity["name"] == f"Keras InceptionV3, weights {hashed[:12]}"
    assert identity["score"] == "classifier_score"
    assert identity["about"]["sha256"] == hashed
    assert identity["about"]["file"] == "random.weights.h5"
    assert identity["about"]["input"] == "[-1, 1]"
    md5 = hashlib.md5(b"random").hexdigest()
    monkeypatch.setattr(networks, "INCEPTION_MD5", md5)
    identity = networks.inception_identity(weights)
    assert identity["name"] == "Keras InceptionV3, ImageNet"
    assert identity["score"] == "inception_score"
    shifted = networks.inception_identity(weights, ctrl_input=True)
    assert shifted["name"] == "Keras InceptionV3, ImageNet, input 2x - 1"
    assert shifted["about"]["input"] == "[-3, 1]"


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
