"""The signatures of files: what they read, refuse, and say."""

import io
import re
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_csc.data import images


@pytest.fixture(scope="module")
def encode(exported):
    loaded = tf.saved_model.load(exported.path)
    signature = loaded.signatures["encode_bytes"]
    return lambda *files: {
        name: value.numpy()
        for name, value in signature(
            image_bytes=tf.constant(list(files), tf.string)
        ).items()
    }


def picture(size=(20, 16), form="PNG", mode="L", **options):
    width, height = size
    pixels = np.linspace(0, 255, width * height).reshape(height, width)
    file = io.BytesIO()
    if mode == "I;16":
        image = Image.fromarray(pixels.astype(np.uint8) * np.uint16(257))
    else:
        image = Image.fromarray(pixels.astype(np.uint8)).convert(mode)
    image.save(file, form, **options)
    return file.getvalue()


def large():
    content = bytearray(picture())
    content[16:24] = (30000).to_bytes(4, "big") * 2
    return bytes(content)


def hidden():
    """A PNG file with a chunk before its header, which tells another size."""
    content, body = picture(), b"abCd" + bytes(3 * [0, 0, 0, 5])
    length, check = (n.to_bytes(4, "big") for n in (12, zlib.crc32(body)))
    return content[:8] + length + body + check + content[8:]


def damaged():
    """A PNG file whose pixels, in the middle, are not what they were."""
    content = bytearray(picture((64, 64)))
    content[60:80] = bytes(20)
    return bytes(content)


BAD = {
    b"": "is empty",
    b"<html>": "is no JPEG, PNG, GIF, BMP or WebP file",
    picture()[:-20]: "is a PNG file without its end",
    picture(form="JPEG")[:-20]: "is a JPEG file without its end",
    picture(form="BMP")[:-20]: "is a BMP file that is cut",
    large(): r"has 30000x30000 pixels .* 67,108,864 in all",
    hidden(): "is a PNG file that does not begin with its header",
    damaged(): "can't be decoded: it is damaged",
}


def test_every_file_has_its_own_outcome(encode):
    files = [picture(), *BAD, picture((30, 9), "JPEG")]
    found = encode(*files)
    assert found["valid"].tolist() == [True, *[False] * len(BAD), True]
    problems = [text.decode() for text in found["problem"]]
    assert problems[0] == problems[-1] == ""
    for text, expected in zip(problems[1:], BAD.values()):
        assert re.match(expected, text)
    assert not found["features"][1:-1].any()
    for row in (0, -1):
        (alone,) = encode(files[row])["features"]
        np.testing.assert_allclose(found["features"][row], alone, atol=1e-6)
        assert np.linalg.norm(alone) == pytest.approx(1)


def test_pictures_of_bad_files_have_no_bytes(exported):
    loaded = tf.saved_model.load(exported.path)
    found = loaded.signatures["reconstruct_bytes"](
        image_bytes=tf.constant([b"", picture(), damaged()])
    )
    assert found["valid"].numpy().tolist() == [False, True, False]
    sizes = tf.strings.length(found["reconstruction_bytes"]).numpy()
    assert sizes[0] == sizes[2] == 0 < sizes[1]


def test_only_bad_files(encode):
    found = encode(b"", damaged())
    assert not found["valid"].any() and not found["features"].any()
    assert found["features"].shape == (2, 8)


def test_an_empty_batch_is_refused(encode):
    with pytest.raises(tf.errors.InvalidArgumentError, match="one file or mo"):
        encode()


def test_grey_models_read_every_format(encode):
    expected = encode(picture())["features"]
    for form, mode in (
        ("GIF", "L"),
        ("BMP", "L"),
        ("BMP", "RGB"),
        ("WEBP", "RGB"),
        ("PNG", "RGBA"),
        ("PNG", "I;16"),
    ):
        options = {"lossless": True} if form == "WEBP" else {}
        received = encode(picture(form=form, mode=mode, **options))["features"]
        np.testing.assert_allclose(received, expected, atol=1e-4)
    options = {"quality": 100, "mode": "CMYK", "form": "JPEG"}
    received = encode(picture(**options))["features"]
    np.testing.assert_allclose(received, expected, atol=0.2)


def test_files_are_prepared_as_for_training(encode, exported):
    """Also those of shapes that are cropped before they are resized."""
    for size in ((20, 16), (3, 3000), (3000, 16), (300_000, 1)):
        content = picture(size)
        prepared = images.normalize(images.read(content, (16, 16, 1)))
        expected = exported.model.encode(prepared[None])
        received = encode(content)["features"]
        np.testing.assert_allclose(received, expected, atol=1e-5)
