"""The signatures of files: what they read, refuse, and say."""

import io
import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_csc.data import images
from keras_csc.export import signatures


def picture(size=(20, 16), form="PNG", mode="L"):
    width, height = size
    pixels = np.linspace(0, 255, width * height).reshape(height, width)
    file = io.BytesIO()
    image = Image.fromarray(pixels.astype(np.uint8)).convert(mode)
    image.save(file, form)
    return file.getvalue()


def changed(content, place, by):
    return content[:place] + by + content[place + len(by) :]


HUGE = (30000).to_bytes(4, "big")
DAMAGED = changed(picture((64, 64)), 60, bytes(20))  # in the middle
BAD = {
    b"": "is empty",
    b"<html>": "is no JPEG or PNG file",
    picture()[:-20]: "can't be decoded: it is damaged",
    changed(picture(), 16, 2 * HUGE): r"has 30000x30000 pixels .* 67,108,864",
    DAMAGED: "can't be decoded: it is damaged",
}


def test_every_file_has_its_own_outcome(exported):
    given = [picture(), *BAD, picture((30, 9), "JPEG")]
    found = exported.ask("encode_bytes", image_bytes=given)
    assert found["valid"].tolist() == [True, *[False] * len(BAD), True]
    problems = [text.decode() for text in found["problem"]]
    assert problems[0] == problems[-1] == ""
    for text, expected in zip(problems[1:], BAD.values()):
        assert text and re.match(expected, text)
    assert not found["features"][1:-1].any()
    for row in (0, -1):
        alone = exported.ask("encode_bytes", image_bytes=[given[row]])
        (alone,) = alone["features"]
        np.testing.assert_allclose(found["features"][row], alone, atol=1e-6)
        assert np.linalg.norm(alone) == pytest.approx(1)
    none = exported.ask("encode_bytes", image_bytes=[b"", DAMAGED])
    assert none["features"].shape == (2, 8) and not none["features"].any()
    with pytest.raises(tf.errors.InvalidArgumentError, match="one file or mo"):
        exported.ask("encode_bytes", image_bytes=[])


def test_pictures_come_back_as_png_files(exported):
    given = [b"", picture((16, 16)), DAMAGED]
    found = exported.ask("reconstruct_bytes", image_bytes=given)
    assert found["valid"].tolist() == [False, True, False]
    none, png, nothing = found["reconstruction_bytes"]
    assert none == nothing == b""
    pixels = np.asarray(Image.open(io.BytesIO(given[1])))[None, ..., None]
    expected = (exported.model.reconstruct(pixels)[0] + 1) * 127.5
    received = np.asarray(Image.open(io.BytesIO(png)), "float32")
    assert np.max(np.abs(received[..., None] - expected)) <= 0.51


def test_files_are_prepared_as_for_training(exported):
    """Also those of shapes that are cropped before they are resized."""
    sizes = (20, 16), (3, 3000)
    given = [picture(size) for size in sizes]
    prepared = [
        images.normalize(images.read(each, (16, 16, 1))) for each in given
    ]
    expected = exported.model.encode(tf.stack(prepared))
    found = exported.ask("encode_bytes", image_bytes=given)
    np.testing.assert_allclose(found["features"], expected, atol=1e-5)


# === Maps ===


def noise(height, width, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (height, width, channels), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(file, "PNG")
    return file.getvalue(), pixels


def test_files_for_maps_keep_their_sizes(exported_maps):
    pictures = [noise(9, 30), noise(16, 8, channels=1, seed=1)]
    given = [content for content, _ in pictures]
    made = exported_maps.ask("reconstruct_bytes", image_bytes=given)
    for png, (_, pixels) in zip(made["reconstruction_bytes"], pictures):
        received = np.asarray(Image.open(io.BytesIO(png)), "float32")
        given = np.broadcast_to(pixels, (*pixels.shape[:2], 3))[None]
        expected = (exported_maps.model.reconstruct(given)[0] + 1) * 127.5
        assert np.max(np.abs(received - expected)) <= 0.51


def test_files_of_one_size_are_encoded(exported_maps):
    def encode(*given):
        return exported_maps.ask("encode_bytes", image_bytes=list(given))

    pictures = [noise(9, 30, seed=seed) for seed in range(2)]
    (one, pixels), (two, others) = pictures
    expected = exported_maps.model.encode(np.stack([pixels, others]))
    np.testing.assert_allclose(
        encode(one, two)["features"], expected, atol=1e-5
    )
    some = encode(one, b"", noise(7, 9)[0])
    assert some["valid"].tolist() == [True, False, False]
    np.testing.assert_allclose(some["features"][0], expected[0], atol=1e-5)
    assert not np.any(some["features"][1:])
    none = encode(b"")["features"]
    assert none.shape == (1, 1, 1, 8) and not np.any(none)
    with pytest.raises(tf.errors.InvalidArgumentError, match="of one size"):
        encode(one, noise(10, 30)[0])


def test_files_of_other_sizes_are_named(exported_maps, monkeypatch):
    given = [noise(7, 9)[0], noise(9, 8)[0], b""]
    found = exported_maps.ask("reconstruct_bytes", image_bytes=given)
    assert found["valid"].tolist() == [False, True, False]
    message = b"has 9x7 pixels (width x height), and must have from 8x8 to 4,19"
    assert found["problem"][0].startswith(message)
    made = found["reconstruction_bytes"]
    assert made[0] == made[2] == b"" != made[1]
    monkeypatch.setattr(signatures, "MOST_PIXELS", 100)
    function, _ = signatures.autoencoder_signatures(exported_maps.model)[
        "reconstruct_bytes"
    ]
    found = function(tf.constant([noise(9, 30)[0]]))
    assert b"to 100 in all" in found["problem"].numpy()[0]
