"""The trained models that come with the package."""

import pathlib
import re

import numpy as np
import pytest
import skimage.data
import tensorflow as tf

from keras_csc import data
from keras_csc.export.card import model_card
from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.models import presets
from keras_csc.pixels import from_pixels

ROOT = pathlib.Path(__file__).parents[2]
MOST_BYTES = 32e6
NAMES = presets.trained_names()
# A model of vectors and one of maps; the others are alike.
SERVED = ("csc_ctrl_digits", "csc_ctrl_photographs")


def card(name):
    """What the card says, as data."""
    return presets.find(name).metadata["card"]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=[pytest.mark.thorough] * (name not in SERVED))
        for name in NAMES
    ],
)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def model(name):
    return ClosedLoopAutoencoder.from_preset(name)


def images_for(model, count=4):
    """Smooth images of the model's size, in [-1, 1]."""
    *size, channels = model.encoder.image_shape
    rng = np.random.default_rng(0)
    coarse = rng.uniform(-1, 1, (count, 4, 4, channels))
    return tf.image.resize(coarse, size, "bicubic").numpy().clip(-1, 1)


def test_there_are_some_and_they_are_small():
    files = [path for path in presets.TRAINED.rglob("*") if path.is_file()]
    assert NAMES
    assert sum(path.stat().st_size for path in files) < MOST_BYTES


def peak_signal_to_noise(made, images):
    error = np.mean((np.asarray(made) - images) ** 2, axis=(1, 2, 3))
    return np.mean(10 * np.log10(4 / error))


def test_digits_come_back_as_the_card_says():
    """Also with dictionaries of half precision."""
    model = ClosedLoopAutoencoder.from_preset("csc_ctrl_digits")
    split = data.open_dataset("digits", "test", (16, 16, 1))
    images = from_pixels(data.load_arrays(split)[0])
    expected = card("csc_ctrl_digits")["evaluation"]["psnr"]
    found = peak_signal_to_noise(model(images), images)
    # The card's model computed in bfloat16, and this one in float32.
    assert found == pytest.approx(expected, abs=0.02)


def test_what_a_model_makes_comes_back(name, model):
    """Codes are sparse, too, as the card says; models of maps do not sample."""
    if model.encoder.features == "map":
        assert model.density is None
        images = from_pixels(skimage.data.astronaut()[None, 40:360, 100:420])
    else:
        images = np.asarray(model.sample(4, seed=0))
        assert np.std(images) > 0.1
    assert peak_signal_to_noise(model(images), images) > 20
    codes = model.encoder.activations(images).codes
    zeros = [np.mean(np.asarray(stage) == 0) for stage in codes]
    said = card(name)["evaluation"]["zero_fraction"]
    assert said[0] > 0.4
    np.testing.assert_allclose(zeros, said, atol=0.2)


def test_saved_model_is_the_same(name, model):
    versions = [*(ROOT / "saved_models" / name).glob("[0-9]*")]
    if not versions:
        pytest.skip("Users export it: saved_models/README.md says how.")
    (path,) = versions
    loaded = tf.saved_model.load(str(path))
    images = images_for(model)
    outputs = loaded.signatures["serving_default"](image=tf.constant(images))
    np.testing.assert_allclose(
        outputs["reconstruction"], model(images), atol=1e-5
    )
    found = loaded.signatures["encode"](image=tf.constant(images))["features"]
    np.testing.assert_allclose(found, model.encode(images), atol=1e-5)
    if model.density is not None:
        seeds = tf.constant([3, 3, 9])
        sample = loaded.signatures["sample"]
        made = sample(label=-tf.ones_like(seeds), seed=seeds)
        for row, seed in zip(made["sample"], seeds.numpy()):
            alone = model.sample(1, seed=int(seed))[0]
            np.testing.assert_allclose(row, alone, atol=1e-5)


def without_versions(text):
    return re.sub(r"(TensorFlow|Keras) [\d.]+\d", r"\1", text)


def test_card(name, model):
    """It is what an export writes, with licences, and no paths."""
    folder = presets.TRAINED / name
    readme = (folder / "README.md").read_text(encoding="utf-8")
    text = model_card(model, name, None, {}, card(name))
    assert without_versions(readme) == without_versions(text)
    assert readme.startswith(f"# {name}\n")
    for text in (readme, (folder / "metadata.json").read_text()):
        assert not re.search(r"(^|[ \"=])(\.\.)?/\w+/", text)
    for session in card(name)["training"]["sessions"]:
        assert re.fullmatch("[0-9a-f]{12}", session["commit"])
    said = card(name)["licence"]
    assert said.endswith(
        "The weights are under the Apache License 2.0, as keras_csc is."
    )
    of_data, _, _ = said.partition(" The weights are")
    page = (ROOT / "docs" / "licences.md").read_text()
    assert of_data in " ".join(page.split())
    page = (ROOT / "docs" / "models.md").read_text()
    row, *_ = re.findall(rf"^\| `{name}`.*\|$", page, re.MULTILINE)
    assert f"{card(name)['evaluation']['psnr']:.1f} dB" in row
