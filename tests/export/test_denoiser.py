"""A denoiser's SavedModel, and its exports for other runtimes."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_csc.export import export_denoiser
from keras_csc.export import load_runtime
from keras_csc.export.runtimes import PACKAGES
from keras_csc.restoration import SparseDenoiser


def test_signatures_compute_what_the_denoiser_does(exported_denoiser):
    """`test_runtimes.py` asks them where neither Keras nor this package is."""
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
        export_denoiser(denoiser, tmp_path / "1")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "runtime",
    [
        "onnx",
        pytest.param("openvino", marks=pytest.mark.thorough),
        pytest.param("litert", marks=pytest.mark.thorough),
    ],
)
def test_other_runtimes(tmp_path, runtime):
    """Each is compared as it is written; here at other sizes."""
    for module in PACKAGES[runtime]:
        pytest.importorskip(module)
    denoiser = SparseDenoiser(8, iterations=2, channels=3)
    folder = export_denoiser(denoiser, tmp_path / "made", runtime)
    call = load_runtime(folder, runtime)
    for size in ((16, 16), (21, 38)):
        images = np.random.default_rng(0).uniform(size=(1, *size, 3))
        given = images.astype("float32"), np.float32([0.2])
        found = call("denoise", dict(zip(("image", "noise"), given)))
        expected = np.clip(denoiser(given), 0, 1)
        np.testing.assert_allclose(found["denoised"], expected, atol=1e-4)
        given = *given, np.float32([[0.1, 0.9, 0.4]])
        inputs = dict(zip(("image", "noise", "means"), given))
        found = call("denoise_tile", inputs)["denoised"]
        assert np.max(np.abs(found - expected)) > 0.01
        expected = np.clip(denoiser(given), 0, 1)
        np.testing.assert_allclose(found, expected, atol=1e-4)
