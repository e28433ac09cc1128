import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import map_coordinates

from keras_csc.losses import Game
from keras_csc.losses import Term
from keras_csc.models import views as views_module
from keras_csc.models.views import random_views
from tests.helpers.parity import shards
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import small_batch


def draw(n=64, size=16, channels=3, dtype="float32"):
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (n, size, size, channels))
    return tf.constant(images.astype(dtype))


@pytest.mark.parametrize("channels", [1, 3])
def test_views_are_images_of_the_same_kind_and_others_at_every_step(channels):
    images = draw(channels=channels)
    first, again, other = (random_views(images, step) for step in (3, 3, 4))
    assert first.shape == images.shape
    assert first.dtype == images.dtype
    assert np.min(first) >= -1 and np.max(first) <= 1
    np.testing.assert_array_equal(first, again)
    changed = np.mean(np.abs(first - other), axis=(1, 2, 3))
    assert np.min(changed) > 0.01


def test_every_image_has_a_view_of_its_own():
    images = tf.repeat(draw(1), 64, axis=0)
    views = random_views(images, 0).numpy().reshape(64, -1)
    assert len(np.unique(views, axis=0)) == 64


def test_one_of_five_is_grey_and_one_of_two_mirrored():
    # A ramp of red from left to right, which a mirrored crop turns around.
    ramp = np.linspace(-0.5, 0.5, 32)[None, :, None] * [1.0, 0.5, 0.0]
    images = np.broadcast_to(ramp, (4000, 32, 32, 3)).astype("float32")
    views = random_views(tf.constant(images), 0).numpy()
    spread = np.ptp(views, axis=-1).max((1, 2))
    assert 0.17 < np.mean(spread < 1e-4) < 0.23
    slope = views[:, :, -1].mean((1, 2)) - views[:, :, 0].mean((1, 2))
    assert 0.46 < np.mean(slope < 0) < 0.54


def test_crops_have_a_quarter_of_the_area_and_more():
    # The slopes of ramps, to the right and down, tell a crop's sides, of which
    # jitter changes both in the same way.
    ramp = np.broadcast_to(np.linspace(-0.3, 0.3, 32), (2000, 32, 32))
    width, height = (
        random_views(tf.constant(images[..., None], tf.float32), 0).numpy()
        for images in (ramp, ramp.transpose(0, 2, 1))
    )
    width = np.abs(np.ptp(width[:, 16, :, 0], axis=1)) / 0.6
    height = np.abs(np.ptp(height[:, :, 16, 0], axis=1)) / 0.6
    assert np.min(width / height) > 0.74
    assert np.max(width / height) < 1.35
    area = width * height  # in units of the contrast squared
    assert np.min(area) > 0.6**2 * 0.24
    assert np.max(area) < 1.4**2 * 1.01
    assert np.mean(area < 0.5) > 0.2


@pytest.mark.parametrize(
    "height, width, compiled", [(16, 24, True), (9, 1, False)]
)
def test_crops_are_interpolated(monkeypatch, height, width, compiled):
    """Two channels are ramps, which tell where the third one was read."""
    monkeypatch.setattr(views_module, "JITTER_PROBABILITY", 0)
    monkeypatch.setattr(views_module, "GREY_PROBABILITY", 0)
    rows, columns = np.mgrid[:height, :width] / 32
    noise = np.random.default_rng(0).uniform(-1, 1, rows.shape)
    image = np.stack([rows, columns, noise], -1).astype("float32")
    images = tf.constant(np.repeat(image[None], 64, 0))
    views = tf.function(random_views, jit_compile=compiled)(images, 0).numpy()
    places = 32 * np.moveaxis(views[..., :2].astype("float64"), -1, 0)
    expected = map_coordinates(noise, places, order=1, mode="nearest")
    np.testing.assert_allclose(views[..., 2], expected, atol=1e-4)
    assert len(np.unique(places[0])) > height


@keras.saving.register_keras_serializable()
class ViewGame(Game):
    """The encoder makes the features of an image and its view alike."""

    def terms(self):
        return [Term(("distance",), distance_of_views, encoder=1.0)]


def distance_of_views(loop):
    return (loop.mean(tf.reduce_mean((loop.z - loop.views) ** 2)),)


def trained(seed=None, **arguments):
    keras.utils.set_random_seed(0)
    model = small_autoencoder(**arguments)
    model.compile(keras.optimizers.SGD(0.1), game=ViewGame(), seed=seed)
    model.train_on_batch(small_batch()[0])
    return model


def test_views_are_those_of_a_seed_also_in_a_model_that_goes_on(
    eager, tmp_path
):
    images, _ = small_batch()
    first, again, other = (trained(seed) for seed in (3, 3, 4))
    first.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.seed == 3
    for model in (first, again, other, loaded):
        model.train_on_batch(images)
    weights, same, others, resumed = (
        model.get_weights() for model in (first, again, other, loaded)
    )
    for one, two, three in zip(weights, same, resumed):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one, three)
    assert not all(map(np.array_equal, weights, others))
    assert trained().seed == trained().seed  # of `set_random_seed`


@pytest.mark.thorough
def test_a_game_of_views_trains_compiled_by_xla():
    model = small_autoencoder()
    model.compile(game=ViewGame(), jit_compile=True)
    assert model.jit_compile
    history = model.fit(small_batch()[0], epochs=2, verbose=0).history
    assert np.all(np.isfinite(history["loss"]))


def test_replicas_make_the_views_that_one_device_makes(mirrored):
    images = draw(6)
    strategy = mirrored(2)
    data = (shards(strategy, images),)
    views = strategy.run(lambda part: random_views(part, 7), data)
    views = tf.concat(strategy.experimental_local_results(views), 0)
    np.testing.assert_allclose(views, random_views(images, 7), atol=1e-6)
