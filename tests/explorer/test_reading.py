"""Uploads: sizes, kinds, orientation, and what is refused."""

import io
import types

import numpy as np
import pytest
from PIL import Image
from PIL import ImageOps

from keras_csc.explorer import read_upload
from keras_csc.explorer import reading


def encoder(features="map", channels=3, side=16):
    return types.SimpleNamespace(
        features=features, image_shape=(side, side, channels)
    )


def wave(height=24, width=40):
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows * 5, columns * 6, 255 - rows * 5], -1)
    return image.astype(np.uint8)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "image.png"


@pytest.mark.parametrize("channels, mode", [(1, "RGBA"), (3, "L")])
def test_channels_are_the_models(path, channels, mode):
    Image.fromarray(wave()).convert(mode).save(path)
    image, note = read_upload(path, encoder(channels=channels))
    assert image.shape == (24, 40, channels) and image.dtype == "float32"
    assert note == "40×24 pixels"


@pytest.mark.parametrize(
    "ending, channels", [(".png", 3), (".jpg", 1), (".webp", 3)]
)
def test_images_are_turned_upright(path, ending, channels):
    path = path.with_suffix(ending)
    image = Image.fromarray(wave())
    image = image.convert("L") if channels == 1 else image
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        image.save(path, exif=exif, lossless=True, quality=100)
        with Image.open(path) as read:
            expected = ImageOps.exif_transpose(read).convert(image.mode)
        found, _ = read_upload(path, encoder(channels=channels))
        np.testing.assert_allclose(
            (found + 1) * 127.5,
            np.asarray(expected).reshape(found.shape),
            atol=8 if ending == ".jpg" else 1.1,
        )


def test_a_model_of_vectors_is_given_its_size(path):
    Image.fromarray(wave()).save(path)
    image, note = read_upload(path, encoder("vector", 1))
    assert image.shape == (16, 16, 1)
    assert note == "resized and cut from 40×24 to 16×16 pixels"


def test_a_large_photograph_is_shrunk(path, monkeypatch):
    monkeypatch.setattr(reading, "WORKING_PIXELS", 240)
    Image.fromarray(wave()).save(path)
    image, note = read_upload(path, encoder())
    assert image.shape == (12, 20, 3)
    blocks = wave().reshape(12, 2, 20, 2, 3).mean((1, 3))
    inner = np.s_[2:-2, 2:-2]
    np.testing.assert_allclose(
        (image[inner] + 1) * 127.5, blocks[inner], atol=2
    )
    assert note == "shrunk from 40×24 to 20×12 pixels"


def test_a_long_one_keeps_what_a_model_needs(path, monkeypatch):
    monkeypatch.setattr(reading, "WORKING_PIXELS", 400)
    Image.fromarray(wave(9, 800)).save(path)
    image, _ = read_upload(path, encoder())
    assert image.shape[0] == 8


def png(image, damage=0):
    file = io.BytesIO()
    image.save(file, "PNG")
    content = bytearray(file.getvalue())
    content[60 : 60 + damage] = bytes(damage)
    return bytes(content)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "cannot identify image"),
        (b"<svg onload='alert(1)'/>", "as a JPEG, PNG, GIF, BMP or WebP image"),
        (png(Image.fromarray(wave()), damage=30), "can't be read"),
        (png(Image.fromarray(wave(7, 9))), "9×7 pixels, and must have at"),
        # Few bytes, and more pixels than there is room for.
        (png(Image.new("1", (6000, 6000))), "6000×6000 pixels, more than"),
        (bytes(reading.MOST_BYTES + 1), "20,971,521 bytes, more than"),
    ],
)
def test_other_files_are_refused_in_one_line(path, content, message):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_upload(path, encoder())
    assert "\n" not in str(caught.value) and "node" not in str(caught.value)
