"""Models for other runtimes than TensorFlow: LiteRT, ONNX and OpenVINO."""

import importlib
import pathlib
import tempfile

import numpy as np
import tensorflow as tf

from keras_csc.export.saved_model import check_answers
from keras_csc.export.saved_model import float_signatures
from keras_csc.export.saved_model import write_signatures
from keras_csc.export.signatures import signatures
from keras_csc.files import new_folder
from keras_csc.validation import check_choice
from keras_csc.validation import check_float32

# Modules of a runtime and its converter, and the packages to install.
PACKAGES = {
    "litert": {"ai_edge_litert": "ai-edge-litert"},
    "onnx": {"tf2onnx": "tf2onnx", "onnxruntime": "onnxruntime"},
    "openvino": {"openvino": "openvino"},
}
LITERT_FILE = "model.tflite"
OPSET = 18


def export_runtime(model, folder, runtime, tolerance=1e-4):
    """Writes the float signatures of an autoencoder for another runtime.

    `keras_csc.export.signatures` lists all signatures. The signatures of files
    are left out, and `sample`, whose random numbers these runtimes lack. LiteRT
    has one file of built-in operations, `model.tflite`. ONNX has
    `SIGNATURE.onnx` for each, OpenVINO `SIGNATURE.xml` and `.bin`. The files
    are written under another name, run by the runtime, compared with the model,
    and renamed. Checks of values are left out: NaN is not refused.

    Args:
        model: `ClosedLoopAutoencoder`.
        folder: path of a folder that does not exist.
        runtime: `"litert"`, `"onnx"` or `"openvino"`.
        tolerance: as in `export_saved_model`.

    Returns:
        `pathlib.Path` of the folder.

    Raises:
        ValueError: for a runtime that is not installed, a folder that exists, a
            model that is not in float32, or a runtime with other results.
    """
    folder = pathlib.Path(folder).absolute()
    check_installed(runtime)
    check_float32(model.encoder.compute_dtype)
    model.make_weights()
    endpoints = float_signatures(signatures(model))
    endpoints.pop("sample", None)
    with new_folder(folder) as temporary:
        WRITERS[runtime](endpoints, temporary)
        call = load_runtime(temporary, runtime)
        what = f"{folder} for {runtime}"
        check_answers(endpoints, call, model, what, tolerance)
    return folder


def check_installed(runtime):
    """Raises `ValueError` for a runtime that is not known or installed."""
    check_choice(tuple(PACKAGES), runtime=runtime)
    for module, package in PACKAGES[runtime].items():
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
        runtime: as in `export_runtime`.

    Returns:
        Function of the name of a signature and a dict of arrays, its inputs.
        It returns a dict of arrays, its outputs.
    """
    call = LOADERS[runtime](pathlib.Path(folder))
    return lambda name, inputs: call(
        name, {key: np.asarray(value) for key, value in inputs.items()}
    )


def _write_litert(endpoints, folder):
    """One file of all signatures, of LiteRT's built-in operations."""
    with tempfile.TemporaryDirectory() as saved:
        write_signatures(endpoints, saved)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            saved, signature_keys=list(endpoints)
        )
        (folder / LITERT_FILE).write_bytes(converter.convert())


def _write_onnx(endpoints, folder):
    import tf2onnx

    for name, (function, specs) in endpoints.items():
        tf2onnx.convert.from_function(
            tf.function(function, specs, autograph=False),
            specs,
            opset=OPSET,
            output_path=str(folder / f"{name}.onnx"),
        )


def _write_openvino(endpoints, folder):
    import openvino

    for name, (function, specs) in endpoints.items():
        traced = tf.function(function, specs, autograph=False)
        converted = openvino.convert_model(traced.get_concrete_function())
        path = folder / f"{name}.xml"
        openvino.save_model(converted, path, compress_to_fp16=False)


def _load_litert(folder):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(folder / LITERT_FILE))
    return lambda name, inputs: interpreter.get_signature_runner(name)(**inputs)


def _load_onnx(folder):
    import onnxruntime

    def load(path):
        session = onnxruntime.InferenceSession(str(path))
        names = [output.name for output in session.get_outputs()]
        return lambda inputs: dict(zip(names, session.run(None, inputs)))

    loaded = {path.stem: load(path) for path in folder.glob("*.onnx")}
    return lambda name, inputs: loaded[name](inputs)


def _load_openvino(folder):
    """Asks for float32: on some processors OpenVINO computes in bfloat16."""
    import openvino

    core = openvino.Core()
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    loaded = {
        path.stem: core.compile_model(path, "CPU", options)
        for path in folder.glob("*.xml")
    }

    def call(name, inputs):
        outputs = loaded[name](inputs).to_dict()
        return {key.get_any_name(): value for key, value in outputs.items()}

    return call


WRITERS = {
    "litert": _write_litert,
    "onnx": _write_onnx,
    "openvino": _write_openvino,
}
LOADERS = {
    "litert": _load_litert,
    "onnx": _load_onnx,
    "openvino": _load_openvino,
}
