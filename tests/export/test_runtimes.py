"""Models in LiteRT, ONNX Runtime and OpenVINO, without TensorFlow."""

import sys

import numpy as np
import pytest

from keras_csc.export import export_runtime
from tests.export.test_signatures import calls
from tests.export.test_signatures import images
from tests.helpers.exporting import run_python
from tests.helpers.exporting import tiny_model

MODULES = {
    "litert": ("ai_edge_litert",),
    "onnx": ("onnxruntime", "tf2onnx"),
    "openvino": ("openvino",),
}
MAPS = [(2, (16, 16, 3)), (1, (21, 14, 3))]
LOADER = """
import importlib.util, pathlib, sys
for name in ("tensorflow", "keras", "keras_csc"):
    sys.modules[name] = None
import numpy as np

runtime, folder, inputs, outputs = sys.argv[1:]
folder = pathlib.Path(folder)
if runtime == "litert":
    from ai_edge_litert.interpreter import Interpreter
    model = Interpreter(str(folder / "model.tflite"))
    def call(name, given):
        return model.get_signature_runner(name)(**given)
elif runtime == "onnx":
    import onnxruntime
    def call(name, given):
        model = onnxruntime.InferenceSession(folder / f"{name}.onnx")
        names = [output.name for output in model.get_outputs()]
        return dict(zip(names, model.run(None, given)))
else:
    import openvino
    def call(name, given):
        model = openvino.Core().compile_model(
            folder / f"{name}.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
        )
        return {k.get_any_name(): v for k, v in model(given).to_dict().items()}

calls, found = {}, {}
for key, value in np.load(inputs).items():
    case, signature, name = key.split("/")
    calls.setdefault((case, signature), {})[name] = value
for (case, signature), given in calls.items():
    for name, value in call(signature, given).items():
        found[f"{case}/{signature}/{name}"] = value
np.savez(outputs, **found)
"""


@pytest.mark.parametrize(
    "runtime, kind, sizes",
    [
        ("onnx", "exported_maps", MAPS),
        *(
            pytest.param(*each, marks=pytest.mark.thorough)
            for each in (
                ("litert", "exported_maps", MAPS),
                ("openvino", "exported_maps", MAPS),
                ("onnx", "exported", [(1, (16, 16, 1)), (5, (16, 16, 1))]),
            )
        ),
    ],
)
def test_it_computes_what_the_model_does(
    runtime, kind, sizes, request, tmp_path
):
    for module in MODULES[runtime]:
        pytest.importorskip(module)
    model = request.getfixturevalue(kind).model
    folder = export_runtime(model, tmp_path / runtime, runtime)
    given, expected = {}, {}
    for batch, size in sizes:
        for name, both in calls(model, images(batch, size)).items():
            for to, values in zip((given, expected), both):
                to.update({f"{batch}/{name}/{k}": v for k, v in values.items()})
    files = [tmp_path / "inputs.npz", tmp_path / "outputs.npz"]
    np.savez(files[0], **given)
    finished = run_python(["-c", LOADER, runtime, folder, *files])
    assert finished.returncode == 0, finished.stderr[-3000:]
    found = dict(np.load(files[1]))
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert np.std(value) > 0.01
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-5)


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
    assert not list(tmp_path.iterdir())
