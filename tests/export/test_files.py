"""The signatures of files: what they read, refuse, and say."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_csc.data import images


@pytest.fixture(scope="module")
def encode(exported):
    loaded = tf.saved_model.load(exported.path)
    signature = loaded.signatures["encode_bytes"]
    return lambda *files: signature(
        image_bytes=tf.constant(list(files), tf.string)
    )["features"]


def picture(size=(20, 16), form="PNG", mode="L", **options):
    width, height = size
    pixels = np.linspace(0, 255, width * height).reshape(height, width)
    file = io.BytesIO()
    image = Image.fromarray(pixels.astype(np.uint8)).convert(mode)
    image.save(file, form, **options)
    return file.getvalue()


def large():
    content = bytearray(picture())
    content[16:24] = (30000).to_bytes(4, "big") * 2
    return bytes(content)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"", "is empty"),
        (b"<html>", "is no JPEG, PNG, GIF, BMP or WebP file"),
        (picture()[:-20], "is a PNG file without its end"),
        (picture(form="JPEG")[:-20], "is a JPEG file without its end"),
        (picture(form="BMP")[:-20], "is a BMP file that is cut"),
        (large(), r"has 30000x30000 pixels .* 67,108,864 in all"),
    ],
)
def test_the_row_and_the_reason_are_named(encode, bad, reason):
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=rf"image_bytes\[2\] {reason}"
    ):
        encode(picture(), picture(), bad)


def test_an_empty_batch_is_refused(encode):
    with pytest.raises(tf.errors.InvalidArgumentError, match="one file or mo"):
        encode()


def test_grey_models_read_every_format(encode):
    expected = encode(picture())
    for form, mode in (
        ("GIF", "L"),
        ("BMP", "L"),
        ("BMP", "RGB"),
        ("WEBP", "RGB"),
        ("PNG", "RGBA"),
    ):
        options = {"lossless": True} if form == "WEBP" else {}
        received = encode(picture(form=form, mode=mode, **options))
        np.testing.assert_allclose(received, expected, atol=1e-4)
    options = {"quality": 100, "mode": "CMYK", "form": "JPEG"}
    np.testing.assert_allclose(encode(picture(**options)), expected, atol=0.2)


def test_files_are_prepared_as_for_training(encode, exported):
    """Also those of shapes that are cropped before they are resized."""
    for size in ((20, 16), (3, 3000), (3000, 16), (300_000, 1)):
        content = picture(size)
        prepared = images.normalize(images.read(content, (16, 16, 1)))
        expected = exported.model.encode(prepared[None])
        np.testing.assert_allclose(encode(content), expected, atol=1e-5)
