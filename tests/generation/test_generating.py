"""Sampling, interpolation and embedding of a model, and what it keeps."""

import json
import shutil

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis.strategies import integers

from keras_csc.callbacks import TrainingCheckpoint
from keras_csc.generation import FeatureDensity
from keras_csc.generation.generating import great_circle
from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.models import initialize_from
from keras_csc.models import initialize_from_patches
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import spread_autoencoder


def images_and_labels(count=60, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.uniform(-1, 1, (count, 8, 8, 1)).astype("float32")
    return images, np.arange(count) % 3


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = spread_autoencoder()
    images, labels = images_and_labels()
    for _ in range(20):
        model.encoder(images, training=True)
    model.decoder.calibrate(images)
    model.fit_density(images, labels, rank=2)
    return model


def test_density_is_that_of_the_features(model):
    images, labels = images_and_labels()
    expected = FeatureDensity.fit(model.encode(images), labels, rank=2)
    features = model.encode(images_and_labels(seed=1)[0])
    np.testing.assert_allclose(
        model.density.log_prob(features),
        expected.log_prob(features),
        rtol=1e-4,
        atol=1e-4,
    )
    other = small_autoencoder()
    other.set_weights(model.get_weights())
    pixels = np.rint((images + 1) * 127.5).astype("uint8")
    other.fit_density(pixels, labels, rank=2)
    np.testing.assert_allclose(
        other.density.center, model.density.center, atol=5e-3
    )


def test_samples_are_decoded_features(model):
    made = model.sample(5, label=[0, 1, 2, 0, -1], seed=3)
    features = model.density.sample(5, [0, 1, 2, 0, -1], seed=3)
    np.testing.assert_array_equal(made, model.decode(features))
    assert made.shape == (5, 8, 8, 1)
    assert np.max(np.abs(made)) <= 1
    assert np.std(made, axis=0).mean() > 1e-3
    colder = model.sample(5, label=0, seed=3, temperature=0.0)
    np.testing.assert_allclose(colder, colder[:1] + np.zeros((5, 1, 1, 1)))


def test_embedding_is_that_of_numpy(model):
    images, _ = images_and_labels()
    features = model.encode(images).numpy().astype("float64")
    centered = features - features.mean(0)
    centered /= np.linalg.norm(centered, axis=1, keepdims=True)
    np.testing.assert_allclose(model.embed(images), centered, atol=1e-4)


def test_interpolation_is_of_constant_speed_between_reconstructions(model):
    first, second = images_and_labels(8)[0], images_and_labels(8, 1)[0]
    made = model.interpolate(first, second, steps=5)
    assert made.shape == (8, 5, 8, 8, 1)
    np.testing.assert_allclose(made[:, 0], model.reconstruct(first), atol=1e-5)
    np.testing.assert_allclose(
        made[:, -1], model.reconstruct(second), atol=1e-5
    )
    ends = [model.encode(x).numpy().astype("float64") for x in (first, second)]
    angle = np.arccos(np.sum(ends[0] * ends[1], 1, keepdims=True))
    middle = (ends[0] + ends[1]) / (2 * np.cos(angle / 2))
    np.testing.assert_allclose(
        made[:, 2], model.decode(middle.astype("float32")), atol=1e-4
    )


@pytest.fixture(scope="module")
def preset(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "preset"
    model.save_to_preset(folder)
    return folder


def test_a_preset_comes_back_to_the_bit(model, preset):
    """With its density, unless the features are others."""
    load = ClosedLoopAutoencoder.from_preset
    again = load(preset, sparsity=0.05, filters=(3, 4))
    for name, variable in model.density.variables.items():
        np.testing.assert_array_equal(
            again.density.variables[name].numpy(), variable.numpy()
        )
    images, _ = images_and_labels()
    np.testing.assert_array_equal(again.embed(images), model.embed(images))
    np.testing.assert_array_equal(
        again.sample(4, 1, seed=0), model.sample(4, 1, seed=0)
    )
    assert load(preset, load_weights=False).density is None
    assert load(preset, iterations=9).density is None


def test_weights_of_a_model_bring_their_density_or_none(model, tmp_path):
    """Also in a `.keras` file. Weights without a density remove it."""
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        again.sample(4, seed=0), model.sample(4, seed=0)
    )
    other = small_autoencoder()
    other.save_weights(tmp_path / "bare.weights.h5")
    model.save_weights(tmp_path / "with.weights.h5")
    images, labels = images_and_labels()
    for classes in (None, labels):
        if classes is not None:
            other.fit_density(images, classes, components=1)
        other.load_weights(tmp_path / "with.weights.h5")
        np.testing.assert_array_equal(
            other.sample(4, 1, seed=0), model.sample(4, 1, seed=0)
        )
    other.load_weights(tmp_path / "bare.weights.h5")
    assert other.density is None


@pytest.mark.parametrize(
    "density", [None, [1, 2], {"feature_dim": 5, "classes": 10**9}], ids=str
)
def test_a_density_that_is_not_in_the_file_is_refused(
    preset, tmp_path, density
):
    folder = shutil.copytree(preset, tmp_path / "preset")
    config = json.loads((folder / "config.json").read_text())
    config["config"]["density"] = density
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "metadata.json").write_text("{}")
    with pytest.raises(ValueError, match="its density is {'classes': 3"):
        ClosedLoopAutoencoder.from_preset(folder)


CHANGES = {
    "fit": lambda model, images: model.fit(images, verbose=0),
    "train_on_batch": lambda model, images: model.train_on_batch(images),
    "components": initialize_from,
    "patches": initialize_from_patches,
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_the_features_removes_the_density(eager, change):
    model, (images, _) = small_autoencoder(), images_and_labels()
    model.compile()
    model.fit_density(images)
    model.evaluate(images, verbose=0)
    assert model.density is not None
    CHANGES[change](model, images)
    assert model.density is None


def test_a_checkpoint_has_no_density(tmp_path):
    model = small_autoencoder()
    model.compile()
    checkpoint = TrainingCheckpoint(tmp_path)
    checkpoint.set_model(model)
    checkpoint.save(0)
    for restored in (model, small_autoencoder()):
        restored.fit_density(images_and_labels()[0])
        checkpoint.restore(restored)
        assert restored.density is None


def test_a_model_without_a_density_says_how_to_get_one():
    for method in (small_autoencoder().sample, small_autoencoder().embed):
        with pytest.raises(ValueError, match=r"model.fit_density\(images"):
            method(3)


def test_maps_have_no_density():
    model = spread_autoencoder(features="map")
    images, _ = images_and_labels(4)
    with pytest.raises(ValueError, match="one feature vector an image"):
        model.fit_density(images)
    with pytest.raises(ValueError, match="Images must be pairs"):
        model.interpolate(images[:1], images[1:])
    made = model.interpolate(images[:2], images[2:], steps=3)
    np.testing.assert_allclose(
        made[:, 0], model.reconstruct(images[:2]), atol=1e-5
    )


@settings(max_examples=10)
@given(integers(0, 2**32 - 1), integers(2, 7), integers(2, 9))
def test_great_circles_have_constant_speed(seed, dimension, steps):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, 3, dimension)).astype("float32")
    first, second = (
        x / np.linalg.norm(x, axis=1, keepdims=True) for x in (first, second)
    )
    points = np.asarray(great_circle(first, second, steps), "float64")
    assert points.shape == (3, steps, dimension)
    np.testing.assert_allclose(np.linalg.norm(points, axis=-1), 1, atol=1e-6)
    np.testing.assert_allclose(points[:, 0], first, atol=1e-6)
    np.testing.assert_allclose(points[:, -1], second, atol=2e-6)
    angle = np.arccos(np.clip(np.sum(points[:, 0] * points[:, -1], -1), -1, 1))
    chords = np.linalg.norm(np.diff(points, axis=1), axis=-1)
    expected = 2 * np.sin(angle / (steps - 1) / 2)
    np.testing.assert_allclose(
        chords, expected[:, None] + 0 * chords, atol=1e-5
    )


def test_great_circles_of_equal_and_antipodal_points():
    rng = np.random.default_rng(0)
    first = rng.normal(size=(4, 5)).astype("float32")
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    same = np.asarray(great_circle(first, first, 4))
    np.testing.assert_allclose(same, first[:, None] + 0 * same, atol=1e-7)
    points = np.asarray(great_circle(first, -first, 5))
    np.testing.assert_allclose(np.linalg.norm(points, axis=-1), 1, atol=1e-6)
    np.testing.assert_allclose(points[:, -1], -first, atol=1e-6)
    chords = np.linalg.norm(np.diff(points, axis=1), axis=-1)
    np.testing.assert_allclose(chords, 2 * np.sin(np.pi / 8), atol=1e-5)
