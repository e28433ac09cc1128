"""Features that keep their place: images of any size, whole and in tiles."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_csc.losses import TranscriptionGame
from keras_csc.models import Tiles
from keras_csc.models.tiles import decoder_border
from keras_csc.models.tiles import encoder_border
from tests.helpers.reference_loop import CLASSES
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import spread_weights

STRIDE = 4
NETWORKS = {
    "csc": {"iterations": 3},
    "conv": {"network": "conv"},
    "wide": {"kernel_size": 4, "filters": (3,)},
}


def make(**changes):
    model = small_autoencoder(features="map", **changes)
    spread_weights(model)
    return model


@pytest.fixture(scope="module", params=NETWORKS)
def model(request):
    return make(**NETWORKS[request.param])


@pytest.fixture(scope="module")
def csc():
    return make()


def draw(*size, batch=2):
    rng = np.random.default_rng(0)
    return rng.uniform(-1, 1, (batch, *size, 1)).astype("float32")


# === Places ===


def test_map_of_one_place_is_the_vector():
    """An image of one place: a head over all of it is one of 1×1."""
    changes = {"image_shape": (4, 4, 1)}
    vectors, maps = small_autoencoder(**changes), make(**changes)
    for own, other in zip(vectors.weights, maps.weights, strict=True):
        own.assign(other)
    keras.utils.set_random_seed(0)
    noise = draw(8, 8)[:, :4, :4]
    vector = vectors.encoder.activations(noise).features
    assert vector.shape == (2, 5)
    large = np.tile(noise, (1, 2, 2, 1))
    stage = maps.encoder.coding_layers
    assert maps.encode(large).shape == (2, 2, 2, 5)
    assert maps.encoder.head.kernel.shape == vectors.encoder.head.kernel.shape
    # Below the smallest size that is taken: what the networks themselves do.
    signal = noise
    for number, normalization in enumerate(maps.encoder.normalizations):
        signal = normalization(maps.encoder.parts(stage[number](signal)))
    place = maps.encoder.head(signal)
    place = place / np.linalg.norm(place, axis=-1, keepdims=True)
    np.testing.assert_allclose(place[:, 0, 0], vector, atol=1e-6)


def test_features_move_with_the_image(model):
    stride = 2 ** len(model.encoder.filters)
    border = encoder_border(model.encoder)
    margin = -(-border // stride)
    side = stride * (2 * margin + 4)
    images = draw(side + stride, side + stride)
    features = model.encode(images[:, stride:, stride:]).numpy()
    whole = model.encode(images).numpy()[:, 1:, 1:]
    inner = slice(margin, -margin)
    np.testing.assert_allclose(
        features[:, inner, inner], whole[:, inner, inner], atol=1e-5
    )
    assert np.ptp(features[:, inner, inner], axis=(1, 2)).max() > 0.1


def test_a_pixel_is_felt_no_further_than_the_border(model):
    """And as far: the bound of the receptive field is not too wide."""
    stride = 2 ** len(model.encoder.filters)
    border = encoder_border(model.encoder)
    side = stride * (2 * (border // stride) + 6)
    images = draw(side, side, batch=1)
    changed = images.copy()
    middle = side // 2
    changed[:, middle:, :] *= -1
    first, second = (model.encode(x).numpy() for x in (images, changed))
    rows = np.abs(first - second).max((0, 2, 3))
    felt = int(np.flatnonzero(rows > 1e-9)[0]) * stride
    assert middle - border - stride < felt < middle
    assert felt <= middle - border / 2


def test_a_place_reaches_no_further_than_the_border(model):
    stride = 2 ** len(model.decoder.filters)
    border = decoder_border(model.decoder)
    features = model.encode(draw(stride * 12, stride * 12, batch=1)).numpy()
    changed = features.copy()
    changed[:, 6:] *= -1
    first, second = (model.decode(z).numpy() for z in (features, changed))
    rows = np.abs(first - second).max((0, 2, 3))
    reached = int(np.flatnonzero(rows > 1e-9)[0])
    assert 6 * stride - border <= reached <= 6 * stride


# === Sizes ===


@pytest.mark.parametrize("size", [(8, 8), (9, 17), (30, 11)], ids=str)
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


def test_sides_far_below_a_place_are_continued_again_and_again():
    deep = make(filters=(2,) * 5, image_shape=(32, 32, 1))
    images = draw(8, 9)
    whole = images
    for _ in range(2):
        whole = np.pad(
            whole,
            [(0, 0), *((0, n) for n in whole.shape[1:3]), (0, 0)],
            "symmetric",
        )
    np.testing.assert_allclose(
        deep.encode(images), deep.encode(whole[:, :32, :32]), atol=1e-6
    )


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
    with pytest.raises(ValueError, match=r"at least one item.*\(1, 0, 3, 5\)"):
        csc.decode(np.zeros((1, 0, 3, 5), "float32"))
    features = csc.encode(draw(9, 17))
    for size in ((8, 17), (13, 17), (9,)):
        with pytest.raises(ValueError, match="`image_size` must be"):
            csc.decode(features, image_size=size)


def test_players_have_the_same_kind_of_features(csc):
    vectors = small_autoencoder()
    with pytest.raises(ValueError, match="same `features`"):
        type(csc)(csc.encoder, vectors.decoder)


# === The game ===


@pytest.mark.parametrize("objective", ["binary", "multi"])
def test_rates_of_maps_are_those_of_their_places(objective):
    game = TranscriptionGame(
        objective, CLASSES, class_features=2, encoder_consistency=1.0
    )
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(2, 6, 3, 2, 5)).astype("float32")
    labels = np.arange(6) % CLASSES
    rows = maps.reshape(2, -1, 5)
    found = game.rates(*maps, labels)
    expected = game.rates(*rows, np.repeat(labels, 6))
    assert set(found) == set(expected)
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5)
    np.testing.assert_allclose(
        game.consistency(*maps), game.consistency(*rows), rtol=1e-5
    )


def test_fit_and_evaluate_take_rectangles():
    model = make(filters=(3,), iterations=1)
    model.compile(game=TranscriptionGame(multistage=1.0, memory=0.5))
    images = draw(9, 14, batch=4)
    history = model.fit(images, batch_size=2, verbose=0).history
    assert np.isfinite(history["loss"][0])
    found = model.evaluate(images, verbose=0, return_dict=True)
    made = model.predict(images, verbose=0)
    error = np.mean((images - made) ** 2, axis=(1, 2, 3))
    expected = np.mean(10 * np.log10(4 / error))
    assert found["psnr"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("side", [8, 12])
def test_evaluate_leaves_out_ssim_of_less_than_its_window(side):
    model = make(filters=(3,), iterations=1)
    model.compile()
    found = model.evaluate(draw(side, side), verbose=0, return_dict=True)
    assert ("ssim" in found) == (side >= 11)
    assert all(np.isfinite(value) for value in found.values())
    unknown = tf.data.Dataset.from_generator(
        lambda: [draw(side, side)],
        output_signature=tf.TensorSpec((None, None, None, 1)),
    )
    found = model.evaluate(unknown, verbose=0, return_dict=True)
    assert all(np.isfinite(value) for value in found.values())


# === Tiles ===


@pytest.mark.parametrize("size", [1, 13, 100])
def test_tiles_are_the_whole(model, size):
    stride = 2 ** len(model.encoder.filters)
    images = draw(12 * stride + 2, 9 * stride + 1)
    tiles = Tiles(model, size)
    features = tiles.encode(images)
    np.testing.assert_allclose(features, model.encode(images), atol=1e-5)
    np.testing.assert_allclose(
        tiles.decode(features), model.decode(features), atol=1e-5
    )
    made = tiles.reconstruct(images)
    assert made.shape == images.shape
    np.testing.assert_allclose(made, model.reconstruct(images), atol=1e-5)


def test_tiles_take_bytes_and_tell_how_far_they_are(csc, capsys):
    pixels = np.uint8(np.random.default_rng(0).integers(0, 256, (1, 20, 9, 1)))
    tiles = Tiles(csc, 8, verbose=True)
    np.testing.assert_allclose(
        tiles.encode(pixels), csc.encode(pixels), atol=1e-5
    )
    assert "6/6" in capsys.readouterr().out


def test_wrong_tiles_are_named(csc):
    with pytest.raises(ValueError, match="`size` must be"):
        Tiles(csc, 0)
    with pytest.raises(ValueError, match="features='map'"):
        Tiles(small_autoencoder())
    with pytest.raises(ValueError, match="8×8 pixels"):
        Tiles(csc).encode(draw(5, 20))
