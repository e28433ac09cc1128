"""Exports for others: a process without Keras and this package, runtimes."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_csc.export import export_runtime
from keras_csc.export import load_runtime
from keras_csc.export.runtimes import PACKAGES
from tests.export.test_files import picture
from tests.export.test_signatures import LABELS
from tests.export.test_signatures import calls
from tests.export.test_signatures import images
from tests.helpers.exporting import run_python
from tests.helpers.exporting import tiny_model

LOADER = """
import sys
for name in ("keras", "tf_keras", "keras_csc", "tensorflow_probability"):
    sys.modules[name] = None
import numpy as np
import tensorflow as tf

inputs, outputs, *paths = sys.argv[1:]
loaded = [tf.saved_model.load(path) for path in paths]
given, found = {}, {}
for key, value in np.load(inputs).items():
    case, name = key.rsplit("/", 1)
    given.setdefault(case, {})[name] = tf.constant(value)

for case, values in given.items():
    number, _, signature = case.split("/")
    answer = loaded[int(number)].signatures[signature](**values)
    for name, value in answer.items():
        found[f"{case}/{name}"] = value.numpy()
np.savez(outputs, **{
    k: v.astype("S") if v.dtype == object else v for k, v in found.items()
})
"""


FILES = [picture((16, 16)), b"no file", picture((24, 40), "JPEG", "RGB")]


def test_models_compute_there_what_they_do_here(
    exported, exported_denoiser, tmp_path
):
    """And read files as they do here. The second one is a denoiser."""
    model, given = exported.model, images(5)
    cases = {f"0/5/{name}": each for name, each in calls(model, given).items()}
    cases["0/one/denoise"] = (
        {"image": given, "sparsity": np.float32(0.2)},
        {"denoised": model.denoise(given, 0.2)},
    )
    cases["0/one/sample"] = (
        {"label": np.int32(LABELS), "seed": np.int32([5])},
        {"sample": model.sample(6, LABELS, seed=5)},
    )
    for name in ("encode_bytes", "reconstruct_bytes"):
        answer = exported.ask(name, image_bytes=FILES)
        cases[f"0/files/{name}"] = {"image_bytes": np.array(FILES)}, answer
    denoiser, loaded, path = exported_denoiser
    asked = {"noise": np.float32([0.1, 0.2, 0.3])}
    pixels = np.abs(images(3, (19, 30, 3)))
    expected = np.clip(denoiser((pixels, asked["noise"])), 0, 1)
    cases["1/3/serving_default"] = (
        {"image": pixels, **asked},
        {"denoised": expected},
    )
    asked["image_bytes"] = np.array(FILES)
    answer = loaded.signatures["denoise_bytes"](
        **{name: tf.constant(value) for name, value in asked.items()}
    )
    cases["1/files/denoise_bytes"] = asked, answer
    files = [tmp_path / "inputs.npz", tmp_path / "outputs.npz"]
    inputs = {
        f"{case}/{name}": value
        for case, (values, _) in cases.items()
        for name, value in values.items()
    }
    np.savez(files[0], **inputs)
    finished = run_python(["-c", LOADER, *files, exported.path, path])
    assert finished.returncode == 0, finished.stderr[-3000:]
    found = dict(np.load(files[1]))
    for case, (_, outputs) in cases.items():
        for name, expected in outputs.items():
            received, expected = found[f"{case}/{name}"], np.asarray(expected)
            if received.dtype == np.float32:
                assert np.std(expected) > 0.01
                np.testing.assert_allclose(
                    received, expected, rtol=0, atol=1e-5
                )
            else:
                assert received.tolist() == expected.tolist()


MAPS = [(2, (16, 16, 3)), (1, (21, 14, 3))]


@pytest.mark.parametrize(
    "runtime, kind, sizes",
    [
        ("onnx", "exported_maps", MAPS),
        *(
            pytest.param(*each, marks=pytest.mark.thorough)
            for each in (
                ("litert", "exported_maps", MAPS),
                ("openvino", "exported_maps", MAPS),
                ("litert", "exported", [(5, (16, 16, 1))]),
                ("onnx", "exported", [(1, (16, 16, 1)), (5, (16, 16, 1))]),
            )
        ),
    ],
)
def test_it_computes_what_the_model_does(
    runtime, kind, sizes, request, tmp_path
):
    for module in PACKAGES[runtime]:
        pytest.importorskip(module)
    model = request.getfixturevalue(kind).model
    folder = export_runtime(model, tmp_path / runtime, runtime)
    call = load_runtime(folder, runtime)
    for batch, size in sizes:
        for name, (given, outputs) in calls(model, images(batch, size)).items():
            received = call(name, given)
            assert set(received) == set(outputs)
            for output, expected in outputs.items():
                assert np.std(expected) > 0.01
                np.testing.assert_allclose(
                    received[output], expected, rtol=0, atol=1e-5
                )


def test_what_no_runtime_can_be_made_of(tmp_path, monkeypatch):
    half = tiny_model(filters=(4,), dtype="mixed_bfloat16")
    with pytest.raises(ValueError, match="`runtime` must be one of"):
        export_runtime(half, tmp_path / "x", "caffe")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ValueError, match=r"needs the package openvino: pip"):
        export_runtime(half, tmp_path / "x", "openvino")
    monkeypatch.setitem(sys.modules, "openvino", True)
    with pytest.raises(ValueError, match="must compute in float32"):
        export_runtime(half, tmp_path / "x", "openvino")
    with pytest.raises(ValueError, match="must compute in float32"):
        half.export(tmp_path / "x", "onnx")
    assert not list(tmp_path.iterdir())
