"""A denoiser's SavedModel."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_csc.export import export_saved_model
from keras_csc.restoration import SparseDenoiser


def test_signatures_compute_what_the_denoiser_does(exported_denoiser):
    """`test_elsewhere.py` asks them where neither Keras nor this package is."""
    denoiser, loaded, path = exported_denoiser
    assert "A denoiser of photographs" in (path / "card.md").read_text()
    rng, call = np.random.default_rng(0), loaded.signatures["serving_default"]
    images = tf.constant(rng.uniform(size=(2, 19, 30, 3)), "float32")
    noise = tf.constant([0.1, 0.3])
    found = call(image=images, noise=noise)["denoised"]
    expected = np.clip(denoiser((images, noise)), 0, 1)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least 0"):
        call(image=images, noise=-noise)
    files = []
    for pixels, form in (
        (rng.integers(0, 256, (17, 33), "uint8"), "PNG"),
        (rng.integers(0, 256, (21, 33, 3), "uint8"), "JPEG"),
    ):
        files.append(io.BytesIO())
        Image.fromarray(pixels).save(files[-1], form)
    outcome = loaded.signatures["denoise_bytes"](
        image_bytes=tf.constant([*(f.getvalue() for f in files), b"no file"]),
        noise=tf.constant([0.1, 0.3, 0.1]),
    )
    assert outcome["valid"].numpy().tolist() == [True, True, False]
    problems = [b"", b"", b"is no JPEG or PNG file"]
    assert outcome["problem"].numpy().tolist() == problems
    *made, none = outcome["denoised_bytes"].numpy()
    assert none == b""
    for file, level, received in zip(files, (0.1, 0.3), made):
        given = np.float32(Image.open(file).convert("RGB"))[None] / 255
        expected = np.clip(denoiser((given, np.float32([level]))), 0, 1)[0]
        received = np.float32(Image.open(io.BytesIO(received))) / 255
        # JPEG decoders differ by a level or two.
        np.testing.assert_allclose(received, expected, atol=4.5 / 255)


def test_weights_that_are_not_finite_are_not_written(tmp_path):
    denoiser = SparseDenoiser(4, iterations=1)
    denoiser.offsets.assign(np.nan * denoiser.offsets)
    with pytest.raises(ValueError, match="must be finite"):
        export_saved_model(denoiser, tmp_path)
    assert not list(tmp_path.glob("*1*"))
