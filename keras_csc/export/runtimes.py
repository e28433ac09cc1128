"""What runs signatures: TensorFlow, LiteRT, ONNX and OpenVINO."""

import importlib
import pathlib
import tempfile

import numpy as np
import tensorflow as tf

from keras_csc.export.graph import write_graph
from keras_csc.validation import check_choice

# Modules of a runtime and its converter, and the packages to install.
SAVED_MODEL = "saved_model"
PACKAGES = {
    "litert": {"ai_edge_litert": "ai-edge-litert"},
    "onnx": {"tf2onnx": "tf2onnx", "onnxruntime": "onnxruntime"},
    "openvino": {"openvino": "openvino"},
}
LITERT_FILE = "model.tflite"
OPSET = 18


def check_installed(runtime):
    """Raises `ValueError` for a runtime that is not known or installed."""
    check_choice(tuple(WRITERS), runtime=runtime)
    for module, package in PACKAGES.get(runtime, {}).items():
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise ValueError(
                f"An export for {runtime} needs the package {package}: "
                "pip install '.[runtimes]' in a copy of the repository"
            ) from error


def load_runtime(folder, runtime):
    """Loads what `export_runtime` wrote.

    Args:
        folder: path.
        runtime: a key of `LOADERS`.

    Returns:
        Function of the name of a signature and a dict of arrays, its inputs.
        It returns a dict of arrays, its outputs.
    """
    loaded = LOADERS[runtime](pathlib.Path(folder))
    return lambda name, inputs: loaded[name](**inputs)


# A writer takes signatures, a folder, and the variables of the model. A loader
# returns a dict of functions of named inputs.


def _write_litert(endpoints, folder, weights):
    """One file of all signatures, of LiteRT's built-in operations."""
    with tempfile.TemporaryDirectory() as saved:
        write_graph(endpoints, pathlib.Path(saved), weights)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            saved, signature_keys=list(endpoints)
        )
        (folder / LITERT_FILE).write_bytes(converter.convert())


def _write_onnx(endpoints, folder, weights):
    import tf2onnx

    for name, (function, specs) in endpoints.items():
        tf2onnx.convert.from_function(
            tf.function(function, specs, autograph=False),
            specs,
            opset=OPSET,
            output_path=str(folder / f"{name}.onnx"),
        )


def _write_openvino(endpoints, folder, weights):
    import openvino

    for name, (function, specs) in endpoints.items():
        traced = tf.function(function, specs, autograph=False)
        converted = openvino.convert_model(traced.get_concrete_function())
        path = folder / f"{name}.xml"
        openvino.save_model(converted, path, compress_to_fp16=False)


def _load_litert(folder):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(folder / LITERT_FILE))

    def load(name):
        runner = interpreter.get_signature_runner(name)
        return lambda **inputs: runner(**_arrays(inputs))

    return {name: load(name) for name in interpreter.get_signature_list()}


def _load_onnx(folder):
    import onnxruntime

    def load(path):
        session = onnxruntime.InferenceSession(str(path))
        names = [output.name for output in session.get_outputs()]
        return lambda **inputs: dict(
            zip(names, session.run(None, _arrays(inputs)))
        )

    return {path.stem: load(path) for path in folder.glob("*.onnx")}


def _load_openvino(folder):
    """Asks for float32: on some processors OpenVINO computes in bfloat16."""
    import openvino

    core = openvino.Core()
    options = {"INFERENCE_PRECISION_HINT": "f32"}

    def load(path):
        compiled = core.compile_model(path, "CPU", options)

        def call(**inputs):
            outputs = compiled(_arrays(inputs)).to_dict()
            return {key.get_any_name(): value for key, value in outputs.items()}

        return call

    return {path.stem: load(path) for path in folder.glob("*.xml")}


def _load_saved_model(folder):
    return tf.saved_model.load(str(folder)).signatures


def _arrays(inputs):
    return {name: np.asarray(value) for name, value in inputs.items()}


WRITERS = {
    SAVED_MODEL: write_graph,
    "litert": _write_litert,
    "onnx": _write_onnx,
    "openvino": _write_openvino,
}
LOADERS = {
    SAVED_MODEL: _load_saved_model,
    "litert": _load_litert,
    "onnx": _load_onnx,
    "openvino": _load_openvino,
}
