"""Features that keep their place: images of any size, whole and in tiles."""

import numpy as np
import pytest
import tensorflow as tf

from keras_csc.models import Tiles
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import spread_autoencoder

STRIDE = 4
NETWORKS = {
    "csc": {"iterations": 3, "kernel_size": [5, 2], "strides": [4, 1]},
    "lapped": {"kernel_size": [4, 2], "strides": [4, 2], "lapped": True},
}


def make(**changes):
    return spread_autoencoder(features="map", **changes)


@pytest.fixture(scope="module", params=NETWORKS)
def model(request):
    return make(**NETWORKS[request.param])


@pytest.fixture(scope="module")
def csc():
    return make()


def draw(*size, batch=2):
    rng = np.random.default_rng(0)
    return rng.uniform(-1, 1, (batch, *size, 1)).astype("float32")


# === Sizes ===


@pytest.mark.parametrize("size", [(8, 8), (9, 17)], ids=str)
def test_sides_are_continued_by_reflection(csc, size):
    images = draw(*size)
    padding = [(0, -n % STRIDE) for n in size]
    whole = np.pad(images, [(0, 0), *padding, (0, 0)], "symmetric")
    features = csc.encode(images)
    np.testing.assert_allclose(features, csc.encode(whole), atol=1e-6)
    norms = np.linalg.norm(features, axis=-1)
    np.testing.assert_allclose(norms, 1, atol=1e-5)
    made = csc.reconstruct(images)
    assert made.shape == images.shape
    np.testing.assert_array_equal(made, csc.decode(features, image_size=size))
    np.testing.assert_array_equal(
        made, csc.decode(features)[:, : size[0], : size[1]]
    )
    np.testing.assert_allclose(made, csc.predict(images, verbose=0), atol=1e-5)
    assert csc.denoise(images, 0.1).shape == images.shape
    shape = csc.encoder.compute_output_shape(images.shape)
    assert shape == features.shape
    padded = tuple(STRIDE * n for n in shape[1:3])
    assert csc.decoder.compute_output_shape(shape) == (2, *padded, 1)


def test_a_graph_takes_all_sizes(csc):
    encode = tf.function(
        csc.encode,
        input_signature=[tf.TensorSpec((None, None, None, 1), tf.float32)],
    )
    for size in ((8, 8), (9, 17)):
        images = draw(*size)
        np.testing.assert_allclose(
            encode(images), csc.encode(images), atol=1e-5
        )
    with pytest.raises(tf.errors.InvalidArgumentError, match="8×8 pixels"):
        encode(draw(7, 20))


def test_wrong_sizes_are_named(csc):
    with pytest.raises(ValueError, match="at least 8×8 pixels"):
        csc.encode(draw(7, 20))
    with pytest.raises(ValueError, match=r"\(batch, height, width, 1\)"):
        csc.encode(draw(9, 9)[0])
    with pytest.raises(ValueError, match=r"\(batch, height, width, 5\)"):
        csc.decode(np.zeros((1, 5), "float32"))
    with pytest.raises(ValueError, match="at least one item"):
        csc.decode(np.zeros((1, 0, 3, 5), "float32"))
    features = csc.encode(draw(9, 17))
    for size in ((8, 17), (13, 17), (9,)):
        with pytest.raises(ValueError, match="`image_size` must be"):
            csc.decode(features, image_size=size)


# === The game ===


def test_fit_and_evaluate_take_rectangles():
    model = make(filters=(3,), iterations=1)
    model.compile(run_eagerly=True)
    images = draw(9, 14, batch=4)
    history = model.fit(images, batch_size=2, verbose=0).history
    assert np.isfinite(history["loss"][0])
    found = model.evaluate(images, verbose=0, return_dict=True)
    made = model.predict(images, verbose=0)
    error = np.mean((images - made) ** 2, axis=(1, 2, 3))
    expected = np.mean(10 * np.log10(4 / error))
    assert found["psnr"] == pytest.approx(expected, rel=1e-4)


# === Tiles ===


@pytest.mark.parametrize("size", [1, 13])
def test_tiles_are_the_whole(model, size):
    stride = model.encoder.stride
    images = draw(7 * stride + 2, 5 * stride + 1)
    tiles = Tiles(model, size)
    features = tiles.encode(images)
    np.testing.assert_allclose(features, model.encode(images), atol=1e-5)
    np.testing.assert_allclose(
        tiles.decode(features), model.decode(features), atol=1e-5
    )
    made = tiles.reconstruct(images)
    assert made.shape == images.shape
    np.testing.assert_allclose(made, model.reconstruct(images), atol=1e-5)


def test_tiles_take_bytes(csc):
    pixels = np.uint8(np.random.default_rng(0).integers(0, 256, (1, 20, 9, 1)))
    tiles = Tiles(csc, 8)
    np.testing.assert_allclose(
        tiles.encode(pixels), csc.encode(pixels), atol=1e-5
    )


def test_tiles_name_what_is_wrong_as_of_the_whole(csc):
    tiles, images = Tiles(csc, 8), draw(20, 9, batch=3)
    for function, message in (
        (lambda: Tiles(csc, 0), "`size` must be"),
        (lambda: Tiles(small_autoencoder()), "features='map'"),
        (lambda: tiles.encode(draw(5, 20)), "8×8 pixels"),
        (lambda: tiles.encode(images[0]), r"Received: \(20, 9, 1\)"),
    ):
        with pytest.raises(ValueError, match=message):
            function()
    features = tiles.encode(images)
    for values in (images, features):
        values[1, 2, 0, 0] = values[2, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match=r"^`images` must .* Row \[1, 2\]$"):
        tiles.encode(images)
    with pytest.raises(ValueError, match=r"^`features` must .* Row \[1, 2\]$"):
        tiles.decode(features)
