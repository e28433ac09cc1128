"""Examples suit the model; of uploads: sizes, kinds, what is refused."""

import types

import numpy as np
import pytest
from PIL import Image
from PIL import ImageOps

from keras_csc import data
from keras_csc.data import image_files
from keras_csc.explorer import chosen
from keras_csc.explorer import examples_of
from keras_csc.explorer import read_upload
from keras_csc.models import ClosedLoopAutoencoder


def model_of(preset):
    return ClosedLoopAutoencoder.from_preset(
        preset, load_weights=False, filters=(4, 4), feature_dim=6
    )


def test_digits_of_all_classes():
    found = examples_of(model_of("digits"))
    assert [each.label for each in found[:10]] == [str(n) for n in range(10)]
    source = data.open_dataset("digits", "test", (16, 16, 1))
    pixels, labels = data.load_arrays(source)
    for each in found:
        same = np.abs(pixels - (each.image + 1) * 127.5).max((1, 2, 3)) < 0.01
        assert str(labels[np.argmax(same)]) == each.label and np.any(same)


def test_photographs_for_a_model_of_maps():
    found = examples_of(model_of("photographs"), count=3)
    assert [each.label for each in found] == ["astronaut", "cat", "china"]
    for each in found:
        assert each.image.ndim == 3 and each.image.shape[2] == 3
        assert each.image.shape[0] * each.image.shape[1] <= 2**19
        assert each.image.min() >= -1 and each.image.max() <= 1


def test_images_that_a_density_draws():
    model = model_of("mnist")
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (40, 32, 32, 1)).astype("float32")
    model.fit_density(images, np.repeat([0, 2], 20))
    found = examples_of(model)
    labels = ["drawn: 0", "drawn: 0", "drawn: 2", "drawn: 2"]
    assert [each.label for each in found] == labels
    again = examples_of(model)
    np.testing.assert_array_equal(found[3].image, again[3].image)


# === Uploads ===


def encoder(features="map", channels=3):
    return types.SimpleNamespace(
        features=features, image_shape=(16, 16, channels)
    )


def wave(height=24, width=40):
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows * 5, columns * 6, 255 - rows * 5], -1)
    return image.astype(np.uint8)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "image.png"


@pytest.mark.parametrize("channels, mode", [(1, "RGBA"), (3, "L"), (1, "I;16")])
def test_channels_are_the_models(path, channels, mode):
    grey = Image.fromarray(wave()).convert("L")
    image = grey if mode == "L" else Image.fromarray(wave()).convert("RGBA")
    if mode == "I;16":
        image = Image.fromarray(np.asarray(grey).astype("uint16") * 257)
    image.save(path)
    found, note = read_upload(path, encoder(channels=channels))
    assert note == "40×24 pixels" and found.dtype == "float32"
    expected = np.repeat(np.asarray(grey)[..., None], channels, -1)
    np.testing.assert_allclose((found + 1) * 127.5, expected, atol=1.1)


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_images_are_turned_upright(path, ending):
    path = path.with_suffix(ending)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(wave()).save(path, exif=exif)
        with Image.open(path) as read:
            expected = ImageOps.exif_transpose(read).convert("RGB")
        found, _ = read_upload(path, encoder())
        np.testing.assert_allclose((found + 1) * 127.5, expected, atol=1.1)


def test_a_model_of_vectors_is_given_its_size(path):
    Image.fromarray(wave()).save(path)
    image, note = read_upload(path, encoder("vector", 1))
    assert image.shape == (16, 16, 1)
    assert note == "resized and cut from 40×24 to 16×16 pixels"


def test_a_large_photograph_is_shrunk(path, monkeypatch):
    monkeypatch.setattr(chosen, "WORKING_PIXELS", 240)
    Image.fromarray(wave()).save(path)
    image, note = read_upload(path, encoder())
    assert note == "shrunk from 40×24 to 20×12 pixels"
    blocks = wave().reshape(12, 2, 20, 2, 3).mean((1, 3))[2:-2, 2:-2]
    pixels = (image[2:-2, 2:-2] + 1) * 127.5
    np.testing.assert_allclose(pixels, blocks, atol=2)
    Image.fromarray(wave(9, 800)).save(path)
    assert read_upload(path, encoder())[0].shape[0] == 8  # what a model needs


def test_other_files_are_refused_in_one_line(path, monkeypatch):
    monkeypatch.setattr(image_files, "MAX_PIXELS", 2**25)
    Image.fromarray(wave()).save(path)
    damaged = bytearray(path.read_bytes())
    damaged[60:90] = bytes(30)
    # The last has few bytes, and more pixels than there is room for.
    for content, message in (
        (b"<svg onload='alert(1)'/>", "can't be read: cannot identify image"),
        (damaged, "can't be read"),
        (Image.fromarray(wave(7, 9)), "9×7 pixels, and must have at"),
        (Image.new("1", (6000, 6000)), "6000x6000 pixels, more than"),
    ):
        if isinstance(content, Image.Image):
            content.save(path)
        else:
            path.write_bytes(content)
        with pytest.raises(ValueError, match=message) as caught:
            read_upload(path, encoder())
        assert "\n" not in str(caught.value) and "node" not in str(caught.value)
