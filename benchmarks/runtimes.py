"""Other runtimes beside TensorFlow: speed, cold start and memory.

    python benchmarks/runtimes.py

Regenerates batches of noise with a trained model, by the signature of its
SavedModel and by what `export --formats=litert,onnx,openvino` writes. They are
called in turns, and `ratio` is the median of a runtime's times over the median
of TensorFlow's. A cold start is a process of its own, which imports the runtime
and NumPy alone, loads the model and answers once; `cold_start` is the median of
three in seconds, `memory` the highest resident memory in MiB. Every runtime
takes the threads that it wants. Writes benchmarks/results.json.
"""

import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from keras_csc_cli import command_line

import numpy as np
import tensorflow as tf

from benchmarks import measuring
from keras_csc.export import export_runtime
from keras_csc.export import export_saved_model
from keras_csc.export import load_runtime
from keras_csc.export.runtimes import PACKAGES
from keras_csc.models import ClosedLoopAutoencoder

MODELS = ("csc_ctrl_digits",)
BATCHES = (1, 32, 256)
COLD_STARTS = 3
SIGNATURE = "serving_default"
# What a process does that answers once: `path` is of the model.
LOAD = {
    "tensorflow": """
import tensorflow as tf
model = tf.saved_model.load(path)
model.signatures["serving_default"](image=tf.constant(image))
""",
    "litert": """
from ai_edge_litert.interpreter import Interpreter
model = Interpreter(path + "/model.tflite")
model.get_signature_runner("serving_default")(image=image)
""",
    "onnx": """
import onnxruntime
model = onnxruntime.InferenceSession(path + "/serving_default.onnx")
model.run(None, {"image": image})
""",
    "openvino": """
import openvino
options = {"INFERENCE_PRECISION_HINT": "f32"}
model = openvino.Core().compile_model(
    path + "/serving_default.xml", "CPU", options
)
model({"image": image})
""",
}
COLD = """
import pathlib, re, sys
import numpy as np
path = sys.argv[1]
image = np.zeros((1, *map(int, sys.argv[2:])), "float32")
{load}
status = pathlib.Path("/proc/self/status").read_text()
print(int(re.search("VmHWM:[^0-9]*([0-9]+)", status)[1]) / 1024)
"""


def exported(model, folder):
    """Paths of what is compared, by runtime."""
    saved = export_saved_model(model, folder / "tensorflow", batch_sizes=())
    paths = {"tensorflow": saved}
    for runtime in PACKAGES:
        paths[runtime] = export_runtime(model, folder / runtime, runtime)
    return paths


def callers(paths):
    """Functions of a batch of images, by runtime."""
    signature = tf.saved_model.load(str(paths["tensorflow"])).signatures[
        SIGNATURE
    ]
    found = {
        "tensorflow": lambda image: signature(image=tf.constant(image))[
            "reconstruction"
        ].numpy()
    }
    for runtime in PACKAGES:
        load = load_runtime(paths[runtime], runtime)
        found[runtime] = lambda image, load=load: load(
            SIGNATURE, {"image": image}
        )
    return found


def cold_start(runtime, path, image_shape):
    """Seconds and MiB of processes that answer once; medians."""
    code = COLD.format(load=LOAD[runtime])
    command = [sys.executable, "-c", code, str(path), *map(str, image_shape)]
    seconds, memory = [], []
    for _ in range(COLD_STARTS):
        began = time.perf_counter()
        finished = subprocess.run(
            command, check=True, capture_output=True, text=True
        )
        seconds.append(time.perf_counter() - began)
        memory.append(float(finished.stdout))
    return statistics.median(seconds), statistics.median(memory)


def measure(name, folder):
    """Rows of a model."""
    model = ClosedLoopAutoencoder.from_preset(name)
    shape = model.encoder.image_shape
    paths = exported(model, folder)
    functions = callers(paths)
    rng = np.random.default_rng(0)
    rows = {
        runtime: {"model": name, "runtime": runtime} for runtime in functions
    }
    for batch in BATCHES:
        image = rng.uniform(-1, 1, (batch, *shape)).astype("float32")
        times = measuring.seconds(
            {
                runtime: lambda call=call: call(image)
                for runtime, call in functions.items()
            },
            repetitions=9,
        )
        for runtime, row in rows.items():
            row[f"ms_{batch}"] = 1000 * times[runtime]
            row[f"ratio_{batch}"] = times[runtime] / times["tensorflow"]
    for runtime, row in rows.items():
        row["cold_start"], row["memory"] = cold_start(
            runtime, paths[runtime], shape
        )
    return list(rows.values())


def main():
    rows = []
    for name in MODELS:
        with tempfile.TemporaryDirectory() as folder:
            rows += measure(name, pathlib.Path(folder))
    measuring.report("runtimes", rows, list(rows[0]))


if __name__ == "__main__":
    command_line.run(main)
