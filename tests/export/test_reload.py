"""A SavedModel elsewhere: without Keras, in TensorFlow 1, in the C library."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.helpers import c_library_process
from tests.helpers.exporting import run_python

LOADER = """
import json, sys
for name in ("keras", "tf_keras", "keras_csc"):
    sys.modules[name] = None
import numpy as np
import tensorflow as tf

path, inputs, outputs = sys.argv[1:]
calls = []
for key, value in np.load(inputs).items():
    case, signature, name = key.split("/")
    if (case, signature) not in [call[:2] for call in calls]:
        calls.append((case, signature, {}))
    calls[-1][2][name] = value

found = {}
loaded = tf.saved_model.load(path)
for case, signature, values in calls:
    values = {name: tf.constant(value) for name, value in values.items()}
    for name, value in loaded.signatures[signature](**values).items():
        found[f"tf2/{case}/{signature}/{name}"] = value.numpy()

with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    graph = tf.compat.v1.saved_model.load(session, ["serve"], path)
    for case, signature, values in calls:
        if case == "scalar":
            continue
        spec = graph.signature_def[signature]
        feed = {spec.inputs[name].name: v for name, v in values.items()}
        fetch = {name: info.name for name, info in spec.outputs.items()}
        for name, value in session.run(fetch, feed).items():
            found[f"tf1/{case}/{signature}/{name}"] = value
found = {k: v.astype("S") if v.dtype == object else v
         for k, v in found.items()}
np.savez(outputs, **found)
"""


def random_images(batch):
    rng = np.random.default_rng(batch)
    return rng.uniform(-1, 1, (batch, 16, 16, 1)).astype("float32")


def expected_outputs(model, batch):
    """Dict from signatures to inputs and outputs, of the model itself."""
    image = random_images(batch)
    sparsity = np.linspace(0.0, 0.3, batch, dtype="float32")
    features = model.encode(image).numpy()
    codes = model.encoder.activations(image).codes
    image_input = {"image": image}
    return {
        "serving_default": (
            image_input,
            {"reconstruction": model.reconstruct(image)},
        ),
        "encode": (image_input, {"features": features}),
        "decode": (
            {"features": features},
            {"reconstruction": model.decode(features)},
        ),
        "denoise": (
            {"image": image, "sparsity": sparsity},
            {"denoised": model.denoise(image, sparsity)},
        ),
        "codes": (
            image_input,
            {f"codes_{i}": code for i, code in enumerate(codes, start=1)},
        ),
    }


def waves(height, width, channels):
    y, x = np.mgrid[:height, :width]
    length = 1 + (height + width) / 10
    image = 128 + 60 * np.stack(
        [
            np.sin(x / length + height) + np.cos(y * (c + 1) / length + width)
            for c in range(channels)
        ],
        -1,
    )
    return np.clip(image, 0, 255).astype("uint8").squeeze()


def file_of(pixels, form):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **{"quality": 95})
    return file.getvalue()


FILES = [
    (waves(16, 16, 1), "PNG"),
    (waves(40, 24, 3), "JPEG"),
    (waves(24, 50, 1), "PNG"),
    (waves(8, 11, 3), "PNG"),
    (waves(64, 64, 1), "JPEG"),
]


def prepared(pixels):
    """What PIL makes of a picture for a grey model of 16×16."""
    image = Image.fromarray(pixels).convert("L")
    width, height = image.size
    scale = 16 / min(width, height)
    width, height = round(width * scale), round(height * scale)
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - 16) // 2, (height - 16) // 2
    image = image.crop((left, top, left + 16, top + 16))
    return np.asarray(image, "float32")[..., None] / 127.5 - 1


@pytest.fixture(scope="module")
def elsewhere(exported, tmp_path_factory):
    """What a process without Keras computes with the SavedModel."""
    folder = tmp_path_factory.mktemp("elsewhere")
    files = np.array([file_of(*each) for each in FILES])
    inputs = {
        "scalar/denoise/image": random_images(5),
        "scalar/denoise/sparsity": np.float32(0.2),
        "one/denoise/image": random_images(5),
        "one/denoise/sparsity": np.array([0.2], "float32"),
        "files/encode_bytes/image_bytes": files,
        "files/reconstruct_bytes/image_bytes": files,
        "file/encode_bytes/image_bytes": files[1:2],
    }
    for batch in (1, 5):
        cases = expected_outputs(exported.model, batch)
        for signature, (values, _) in cases.items():
            for name, value in values.items():
                inputs[f"{batch}/{signature}/{name}"] = value
    np.savez(folder / "inputs.npz", **inputs)
    finished = run_python(
        [
            *("-c", LOADER, exported.path),
            *(folder / "inputs.npz", folder / "outputs.npz"),
        ]
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    return dict(np.load(folder / "outputs.npz"))


def close(received, expected, tolerance=1e-5):
    assert received.dtype == np.float32
    np.testing.assert_allclose(received, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("loader", ["tf2", "tf1"])
@pytest.mark.parametrize("batch", [1, 5])
def test_signatures_compute_what_the_model_does(
    exported, elsewhere, loader, batch
):
    cases = expected_outputs(exported.model, batch)
    for signature, (_, outputs) in cases.items():
        for name, expected in outputs.items():
            received = elsewhere[f"{loader}/{batch}/{signature}/{name}"]
            assert np.std(expected) > 0.01
            close(received, expected)


@pytest.mark.parametrize("call", ["tf2/scalar", "tf2/one", "tf1/one"])
def test_one_sparsity_for_a_batch(exported, elsewhere, call):
    expected = exported.model.denoise(random_images(5), 0.2)
    close(elsewhere[f"{call}/denoise/denoised"], expected)


@pytest.mark.parametrize("loader", ["tf2", "tf1"])
def test_files_are_prepared_as_pil_does(exported, elsewhere, loader):
    images = np.stack([prepared(pixels) for pixels, _ in FILES])
    expected = exported.model.encode(images).numpy()
    received = elsewhere[f"{loader}/files/encode_bytes/features"]
    close(received[0], expected[0])
    apart = np.linalg.norm(received[:, None] - expected, axis=-1)
    others = apart[~np.eye(len(FILES), dtype=bool)]
    assert np.max(np.diag(apart)) < 0.05
    assert np.min(others) > 0.08
    close(elsewhere[f"{loader}/file/encode_bytes/features"], received[1:2])


@pytest.mark.parametrize("loader", ["tf2", "tf1"])
def test_pictures_come_back_as_png(exported, elsewhere, loader):
    images = prepared(FILES[0][0])[None]
    expected = (exported.model.reconstruct(images).numpy() + 1) * 127.5
    pngs = elsewhere[f"{loader}/files/reconstruct_bytes/reconstruction_bytes"]
    pictures = [Image.open(io.BytesIO(png)) for png in pngs]
    assert [p.format for p in pictures] == ["PNG"] * len(FILES)
    assert {p.size for p in pictures} == {(16, 16)}
    received = np.asarray(pictures[0], "float32")[..., None]
    assert np.max(np.abs(received - expected[0])) <= 0.51


def test_c_library_computes_what_the_model_does(exported):
    image = random_images(1)
    (received,) = c_library_process.run(
        exported.path, [("serving_default", {"image": image})]
    )
    close(received, exported.model.reconstruct(image))
