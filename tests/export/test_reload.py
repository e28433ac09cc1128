"""A SavedModel elsewhere: without Keras, also in TensorFlow 1."""

import numpy as np
import pytest

from tests.export.test_files import picture
from tests.export.test_signatures import LABELS
from tests.export.test_signatures import calls
from tests.export.test_signatures import images
from tests.helpers.exporting import run_python

LOADER = """
import sys
for name in ("keras", "tf_keras", "keras_csc", "tensorflow_probability"):
    sys.modules[name] = None
import numpy as np
import tensorflow as tf

path, inputs, outputs = sys.argv[1:]
given, found = {}, {}
for key, value in np.load(inputs).items():
    case, name = key.rsplit("/", 1)
    given.setdefault(case, {})[name] = value

signatures = tf.saved_model.load(path).signatures
for case, values in given.items():
    values = {name: tf.constant(value) for name, value in values.items()}
    answer = signatures[case.rpartition("/")[2]](**values)
    for name, value in answer.items():
        found[f"tf2/{case}/{name}"] = value.numpy()

with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    graph = tf.compat.v1.saved_model.load(session, ["serve"], path)
    for case, values in given.items():
        spec = graph.signature_def[case.rpartition("/")[2]]
        if not all(value.ndim for value in values.values()):
            continue
        feed = {spec.inputs[name].name: v for name, v in values.items()}
        fetch = {name: info.name for name, info in spec.outputs.items()}
        for name, value in session.run(fetch, feed).items():
            found[f"tf1/{case}/{name}"] = value
np.savez(outputs, **{
    k: v.astype("S") if v.dtype == object else v for k, v in found.items()
})
"""


FILES = [picture((16, 16)), b"no file", picture((24, 40), "JPEG", "RGB")]


@pytest.fixture(scope="module")
def elsewhere(exported, tmp_path_factory):
    """What a process without Keras computes with the SavedModel."""
    folder = tmp_path_factory.mktemp("elsewhere")
    files = np.array(FILES)
    inputs = {
        "scalar/denoise/image": images(5),
        "scalar/denoise/sparsity": np.float32(0.2),
        "files/encode_bytes/image_bytes": files,
        "files/reconstruct_bytes/image_bytes": files,
        "files/sample/label": np.int32(LABELS),
        "files/sample/seed": np.int32([5]),
    }
    for signature, (values, _) in calls(exported.model, images(5)).items():
        for name, value in values.items():
            inputs[f"5/{signature}/{name}"] = value
    np.savez(folder / "inputs.npz", **inputs)
    files = [folder / "inputs.npz", folder / "outputs.npz"]
    finished = run_python(["-c", LOADER, exported.path, *files])
    assert finished.returncode == 0, finished.stderr[-3000:]
    return dict(np.load(files[1]))


def close(received, expected, tolerance=1e-5):
    assert received.dtype == np.float32
    np.testing.assert_allclose(received, expected, rtol=0, atol=tolerance)


@pytest.fixture(params=["tf2", "tf1"])
def loader(request):
    return request.param


def test_signatures_compute_what_the_model_does(exported, elsewhere, loader):
    for signature, (_, outputs) in calls(exported.model, images(5)).items():
        for name, expected in outputs.items():
            assert np.std(expected) > 0.01
            close(elsewhere[f"{loader}/5/{signature}/{name}"], expected)
    expected = exported.model.sample(6, LABELS, seed=5)
    close(elsewhere[f"{loader}/files/sample/sample"], expected)


def test_one_sparsity_for_a_batch(exported, elsewhere):
    expected = exported.model.denoise(images(5), 0.2)
    close(elsewhere["tf2/scalar/denoise/denoised"], expected)


@pytest.mark.parametrize("name", ["encode_bytes", "reconstruct_bytes"])
def test_files_are_read_as_here(exported, elsewhere, loader, name):
    for key, value in exported.ask(name, image_bytes=FILES).items():
        received = elsewhere[f"{loader}/files/{name}/{key}"]
        if value.dtype == np.float32:
            close(received, value)
        else:
            assert received.tolist() == value.tolist()
