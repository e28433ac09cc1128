"""A denoiser's SavedModel, where neither Keras nor this package is."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from keras_csc.export import export_denoiser
from keras_csc.export import load_runtime
from keras_csc.export.runtimes import PACKAGES
from keras_csc.restoration import SparseDenoiser
from tests.helpers.exporting import run_python

SCRIPT = """
import json, pathlib, sys
for name in ("keras", "keras_csc"):
    sys.modules[name] = None
import numpy as np
import tensorflow as tf
folder = pathlib.Path(sys.argv[1])
loaded = tf.saved_model.load(str(folder / "1"))
given = np.load(folder / "given.npz")
noise = tf.constant(given["noise"])
found = loaded.signatures["serving_default"](
    image=tf.constant(given["images"]), noise=noise
)
files = [folder / "grey.png", folder / "colour.jpg", folder / "given.npz"]
outcome = loaded.signatures["denoise_bytes"](
    image_bytes=tf.constant([path.read_bytes() for path in files]),
    noise=tf.concat([noise, [0.1]], 0),
)
np.savez(folder / "found.npz", denoised=found["denoised"])
for path, made in zip(files, outcome["denoised_bytes"].numpy()):
    path.with_suffix(".out").write_bytes(made)
try:
    loaded.signatures["serving_default"](
        image=tf.constant(given["images"]), noise=-noise
    )
except tf.errors.InvalidArgumentError as error:
    refused = "at least 0" in str(error)
problems = [text.decode() for text in outcome["problem"].numpy()]
print(json.dumps([outcome["valid"].numpy().tolist(), problems, refused]))
"""


def test_signatures_in_another_process(tmp_path):
    denoiser = SparseDenoiser(8, iterations=2)
    assert export_denoiser(denoiser, tmp_path / "1") == tmp_path / "1"
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(2, 19, 30, 3)).astype("float32")
    noise = np.float32([0.1, 0.3])
    np.savez(tmp_path / "given.npz", images=images, noise=noise)
    pixels = rng.integers(0, 256, (21, 33, 3), "uint8")
    Image.fromarray(pixels).save(tmp_path / "colour.jpg")
    Image.fromarray(pixels[:17, :, 0]).save(tmp_path / "grey.png")
    finished = run_python(["-c", SCRIPT, tmp_path])
    assert finished.returncode == 0, finished.stderr
    valid, problems, refused = json.loads(finished.stdout)
    assert valid == [True, True, False] and refused
    assert problems == ["", "", "is no JPEG or PNG file"]
    with np.load(tmp_path / "found.npz") as found:
        expected = np.clip(denoiser((images, noise)), 0, 1)
        np.testing.assert_allclose(found["denoised"], expected, atol=1e-5)
    for file, level in (("grey.png", 0.1), ("colour.jpg", 0.3)):
        image = Image.open(tmp_path / file).convert("RGB")
        given = np.float32(image)[None] / 255
        expected = np.clip(denoiser((given, np.float32([level]))), 0, 1)[0]
        made = (tmp_path / file).with_suffix(".out").read_bytes()
        made = np.float32(Image.open(io.BytesIO(made))) / 255
        # JPEG decoders differ by a level or two.
        np.testing.assert_allclose(made, expected, atol=4.5 / 255)
    assert (tmp_path / "given.out").read_bytes() == b""


def test_weights_that_are_not_finite_are_not_written(tmp_path):
    denoiser = SparseDenoiser(4, iterations=1)
    denoiser.offsets.assign(np.nan * denoiser.offsets)
    with pytest.raises(ValueError, match="must be finite"):
        export_denoiser(denoiser, tmp_path / "1")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("runtime", ["onnx", "openvino", "litert"])
def test_other_runtimes(tmp_path, runtime):
    """Each is compared as it is written; here at other sizes."""
    for module in PACKAGES[runtime]:
        pytest.importorskip(module)
    denoiser = SparseDenoiser(8, iterations=2)
    folder = export_denoiser(denoiser, tmp_path / "made", 3, runtime)
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
