"""SavedModels without Keras and this package, and in other runtimes."""

import pathlib
import shlex
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests.export.test_files import picture
from tests.export.test_signatures import LABELS
from tests.export.test_signatures import calls
from tests.export.test_signatures import images
from tests.helpers.exporting import ROOT
from tests.helpers.exporting import of_onnx
from tests.helpers.exporting import run_python
from tests.helpers.exporting import tiny_model
from tests.helpers.pages import blocks

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


@pytest.mark.thorough
def test_lines_of_the_page_convert_a_saved_model(
    exported, tmp_path, monkeypatch
):
    for name in ("tf2onnx", "onnxruntime", "ai_edge_litert", "openvino"):
        pytest.importorskip(name)
    import openvino
    from ai_edge_litert.interpreter import Interpreter

    monkeypatch.chdir(tmp_path)
    saved = tmp_path / "saved_models" / "csc_ctrl_digits" / "1"
    shutil.copytree(exported.path, saved)
    page = (ROOT / "docs" / "serving.md").read_text()
    page = page.partition("## Other runtimes")[2].partition("\n## ")[0]
    (shell,), (python,) = (blocks(page, name) for name in ("shell", "py"))
    _, *line = shlex.split(shell.splitlines()[1])
    finished = run_python(line)
    assert finished.returncode == 0, finished.stderr[-3000:]
    exec(python, {"tf": tf, "pathlib": pathlib, "openvino": openvino})
    given = images(3)
    expected = exported.ask("encode", image=given)["features"]
    litert = Interpreter("model.tflite").get_signature_runner("encode")
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model("encode.xml", "CPU", options)
    for received in (
        of_onnx("encode.onnx", image=given)["features"],
        litert(image=given)["features"],
        compiled({"image": given})["features"],
    ):
        np.testing.assert_allclose(received, expected, rtol=0, atol=1e-5)


def test_keras_exports_a_model_of_float32_only_to_others(tmp_path):
    half = tiny_model(filters=(4,), dtype="mixed_bfloat16")
    with pytest.raises(ValueError, match="must compute in float32"):
        half.export(tmp_path / "x", "onnx")
    assert not list(tmp_path.iterdir())
