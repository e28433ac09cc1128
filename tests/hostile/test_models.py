"""What a model is given in Python, and what is left of it."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_csc.layers import ConvSparseCoding2D
from keras_csc.losses import TranscriptionGame
from tests.helpers.exporting import tiny_model

pytestmark = pytest.mark.usefixtures("eager")
REFUSED = (ValueError, tf.errors.InvalidArgumentError)
METHODS = {
    "call": lambda model, images: model(images),
    "encode": lambda model, images: model.encode(images),
    "reconstruct": lambda model, images: model.reconstruct(images),
    "denoise": lambda model, images: model.denoise(images, 0.1),
    "predict": lambda model, images: model.predict(images, verbose=0),
    "evaluate": lambda model, images: model.evaluate(images, verbose=0),
    "fit": lambda model, images: model.fit(images, verbose=0),
}


@pytest.fixture(scope="module")
def model():
    model = tiny_model(filters=(4,))
    model.compile()
    return model


def pixels(count=4, size=(16, 16, 1)):
    """Images in [-1, 1]."""
    rng = np.random.default_rng(0)
    return rng.uniform(-1, 1, (count, *size)).astype("float32")


@pytest.mark.parametrize("method", METHODS)
def test_images_of_another_shape_are_refused(model, method):
    shapes = [(8, 8, 1), (32, 32, 1), (16, 16, 3), (16, 32, 1)]
    shapes += [(16, 16), (1, 16, 16, 1)]
    for shape in shapes:
        # What is expected is named.
        with pytest.raises(ValueError, match="16, ?16, ?1"):
            METHODS[method](model, pixels(4, shape))
    with pytest.raises(ValueError, match="(?i)empty|at least one"):
        METHODS[method](model, pixels(0))


@pytest.mark.parametrize("method", ["encode", "reconstruct", "evaluate"])
def test_bytes_are_pixels(model, method):
    given = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 1), np.uint8)
    images = (given / 127.5 - 1).astype("float32")
    found, expected = (METHODS[method](model, each) for each in (given, images))
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_pixels_of_another_range_are_refused(model, method):
    ones = np.ones((4, 16, 16, 1), "float32")
    for images in (
        *((pixels() + 1) * 127.5, pixels() * 1.5),
        *(ones * np.nan, ones * np.inf),
    ):
        with pytest.raises(REFUSED, match=r"\[-1, ?1\]|finite"):
            METHODS[method](model, images)
    METHODS[method](model, ones * np.float32(1.000001))


def test_values_that_no_input_has_are_refused(model):
    wrong = np.float32([0.1, np.nan, 0.1, 0.1])
    for value in (np.nan, np.inf, -0.1, wrong, np.float32([0.1, 0.1])):
        with pytest.raises(REFUSED, match="(?i)sparsity"):
            model.denoise(pixels(), value)
    for value in (np.nan, np.inf):
        with pytest.raises(REFUSED, match="finite"):
            model.decode(np.full((4, 8), value, "float32"))


@pytest.mark.parametrize(
    "labels",
    [
        np.int32([0, 1, 2, 3, 0, 1]),
        np.full(6, -1),
        np.int32([0, 1, 2, -7, 0, 1]),
        np.eye(3)[np.arange(6) % 3],
        np.float32([0, 1, 2, 0, 1, 1.5]),
        np.full(6, np.nan, "float32"),
        (np.arange(6) % 3)[:, None, None],
    ],
    ids=str,
)
def test_wrong_labels_are_refused_before_a_step(labels):
    model = tiny_model(filters=(4,))
    game = TranscriptionGame("multi", num_classes=3)
    model.compile(game=game)
    before = model.get_weights()
    with pytest.raises(REFUSED, match="(?i)label"):
        model.fit(pixels(6), labels, verbose=0)
    for weight, after in zip(before, model.get_weights()):
        np.testing.assert_array_equal(weight, after)


def test_training_stops_on_nan(model):
    model = tiny_model(filters=(4,))
    model.compile()
    model.decoder.decoding_layers[-1].kernel.assign(
        np.full(model.decoder.decoding_layers[-1].kernel.shape, np.nan)
    )
    stop = keras.callbacks.TerminateOnNaN()
    try:
        model.fit(
            *(pixels(64), None, 4, 3),
            verbose=0,
            callbacks=[stop],
        )
    except REFUSED as error:
        assert "finite" in str(error)
    assert model.step < 16


@pytest.mark.parametrize(
    "maker, needed",
    [
        (ConvSparseCoding2D, {"filters": 4, "kernel_size": 4, "strides": 2}),
        (TranscriptionGame, {}),
    ],
)
def test_no_argument_is_nan(maker, needed):
    """Of every argument that is a number by default; nor infinite."""
    found = [
        name
        for name, parameter in inspect.signature(maker).parameters.items()
        if type(parameter.default) in (int, float)
    ]
    assert len(found) > 2
    for name in (*found, *needed):
        for value in (np.nan, np.inf, -np.inf):
            with pytest.raises(ValueError, match=name):
                maker(**{**needed, name: value})
    for name in needed:
        for value in (0, -1, "x", None):
            with pytest.raises((ValueError, TypeError), match=name):
                maker(**{**needed, name: value})


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize(
    "entries",
    [
        {"feature_dim": 10**9},
        {"filters": (10**9,)},
        {"kernel_size": 10**9},
        {"iterations": 10**9},
        {"image_shape": (16384, 16384, 1)},
    ],
    ids=str,
)
def test_sizes_beyond_all_reason_are_refused(entries):
    with pytest.raises(ValueError, match=next(iter(entries))):
        tiny_model(**entries)
