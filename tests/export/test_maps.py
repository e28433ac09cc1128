"""A SavedModel of features that keep their place, with images of all sizes."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_csc.export import files
from keras_csc.export.signatures import signatures
from keras_csc.models import ClosedLoopAutoencoder


@pytest.fixture(scope="module")
def loaded(exported_maps):
    return tf.saved_model.load(exported_maps.path)


def picture(height, width, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (height, width, channels), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(file, "PNG")
    return file.getvalue(), pixels


@pytest.mark.parametrize("size", [(8, 8), (21, 14)], ids=str)
def test_signatures_compute_what_the_model_does(exported_maps, loaded, size):
    model = exported_maps.model
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (2, *size, 3)).astype("float32")
    features = model.encode(images).numpy()
    sparsity = np.array([0.0, 0.2], "float32")
    codes = model.encoder.activations(images).codes
    for name, inputs, output, expected in (
        ("serving_default", {"image": images}, "reconstruction", model(images)),
        ("encode", {"image": images}, "features", features),
        (
            "decode",
            {"features": features},
            "reconstruction",
            model.decode(features),
        ),
        (
            "denoise",
            {"image": images, "sparsity": sparsity},
            "denoised",
            model.denoise(images, sparsity),
        ),
        ("codes", {"image": images}, "codes_2", codes[1]),
    ):
        inputs = {key: tf.constant(value) for key, value in inputs.items()}
        received = loaded.signatures[name](**inputs)[output].numpy()
        np.testing.assert_allclose(received, expected, rtol=0, atol=1e-5)
        assert np.std(expected) > 0.01


def test_files_keep_their_sizes(exported_maps, loaded):
    pictures = [picture(9, 30), picture(16, 8, channels=1, seed=1)]
    made = loaded.signatures["reconstruct_bytes"](
        image_bytes=tf.constant([content for content, _ in pictures])
    )["reconstruction_bytes"].numpy()
    for png, (_, pixels) in zip(made, pictures):
        received = np.asarray(Image.open(io.BytesIO(png)), "float32")
        images = np.broadcast_to(pixels, (*pixels.shape[:2], 3))[None]
        expected = (exported_maps.model.reconstruct(images)[0] + 1) * 127.5
        assert np.max(np.abs(received - expected)) <= 0.51


def test_files_of_one_size_are_encoded(exported_maps, loaded):
    pictures = [picture(9, 30, seed=seed) for seed in range(2)]
    encode = loaded.signatures["encode_bytes"]
    contents = tf.constant([content for content, _ in pictures])
    found = encode(image_bytes=contents)
    expected = exported_maps.model.encode(np.stack([p for _, p in pictures]))
    np.testing.assert_allclose(found["features"], expected, atol=1e-5)
    three = [pictures[0][0], b"", picture(7, 9)[0]]
    some = encode(image_bytes=tf.constant(three))
    assert some["valid"].numpy().tolist() == [True, False, False]
    np.testing.assert_allclose(some["features"][0], expected[0], atol=1e-5)
    assert not np.any(some["features"][1:])
    none = encode(image_bytes=tf.constant([b""]))["features"]
    assert none.shape == (1, 2, 2, 8) and not np.any(none)
    two = tf.constant([pictures[0][0], picture(10, 30)[0]])
    with pytest.raises(tf.errors.InvalidArgumentError, match="of one size"):
        encode(image_bytes=two)


def test_files_of_other_sizes_are_named(exported_maps, loaded, monkeypatch):
    content = [picture(7, 9)[0], picture(9, 8)[0], b""]
    found = loaded.signatures["reconstruct_bytes"](
        image_bytes=tf.constant(content)
    )
    assert found["valid"].numpy().tolist() == [False, True, False]
    message = b"has 9x7 pixels (width x height), and must have from 8x8 to 4,19"
    assert found["problem"].numpy()[0].startswith(message)
    made = found["reconstruction_bytes"].numpy()
    assert made[0] == made[2] == b"" != made[1]
    monkeypatch.setattr(files, "MOST_PIXELS", 100)
    function, _ = signatures(exported_maps.model)["reconstruct_bytes"]
    found = function(tf.constant([picture(9, 30)[0]]))
    assert b"to 100 in all" in found["problem"].numpy()[0]


def test_card_says_what_sizes_there_are(exported_maps):
    card = (exported_maps.path / "card.md").read_text(encoding="utf-8")
    for text in (
        "`image` (batch, height, width, 3) float32",
        "`features` (batch, height, width, 8) float32",
        "| features | map |",
        "places of 4×4 pixels",
        "Files keep their size, of 8×8 up to 4,194,304 pixels.",
    ):
        assert text in card
    assert "resized" not in card


def test_preset_folder_holds_the_kind_of_features(exported_maps, tmp_path):
    exported_maps.model.save_to_preset(tmp_path / "maps")
    again = ClosedLoopAutoencoder.from_preset(tmp_path / "maps")
    images = np.zeros((1, 9, 12, 3), "float32")
    np.testing.assert_array_equal(
        again.encode(images), exported_maps.model.encode(images)
    )
