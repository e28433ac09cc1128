"""First calls of a served model, with and without its warm-up requests.

    python benchmarks/warmup.py

Every row is a process of its own that loads a committed SavedModel into a
session of TensorFlow's C++ library, as TensorFlow Serving does, replays its
warm-up requests or does not, and then calls every signature with batches of
every size. `first` is the median over signatures and sizes of the first call
over the median of ten that follow, `worst` is the largest of these ratios.
Writes benchmarks/results.json.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

import keras_csc_cli  # noqa: F401

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from benchmarks import measuring
from keras_csc.export.saved_model import WARMUP_FILE

ROOT = pathlib.Path(__file__).parents[1]
NAMES = ("csc_ctrl_digits", "csc_ctrl_fashion_mnist", "csc_ctrl_photographs")
TIMES = 10


def requests(path):
    """Yields the signature, the size and the inputs of warm-up requests."""
    records = tf.compat.v1.io.tf_record_iterator(str(path / WARMUP_FILE))
    for record in records:
        log = prediction_log_pb2.PredictionLog.FromString(record)
        request = log.predict_log.request
        inputs = {
            name: tf.make_ndarray(value)
            for name, value in request.inputs.items()
        }
        (size,) = {len(value) for value in inputs.values()}
        yield request.model_spec.signature_name, size, inputs


def other(values):
    """Values of the same shape that differ from the warm-up's."""
    if values.dtype == np.float32:
        return values * np.linspace(0.5, 1, len(values.flat)).astype(
            "f"
        ).reshape(values.shape)
    return values


def ratios(path, replay):
    """First call over the following ones, by signature and size."""
    session = tf.compat.v1.Session()
    graph = tf.compat.v1.saved_model.load(session, ["serve"], str(path))

    def call(signature, inputs):
        spec = graph.signature_def[signature]
        feed = {spec.inputs[key].name: v for key, v in inputs.items()}
        fetch = {key: info.name for key, info in spec.outputs.items()}
        began = time.perf_counter()
        session.run(fetch, feed)
        return time.perf_counter() - began

    calls = list(requests(path))
    if replay:
        for signature, _, inputs in calls:
            call(signature, inputs)
    found = {}
    for signature, size, inputs in calls:
        inputs = {key: other(value) for key, value in inputs.items()}
        first, *rest = [call(signature, inputs) for _ in range(TIMES + 1)]
        found[f"{signature} of {size}"] = first / statistics.median(rest)
    return found


def measure(name, replay):
    """A row, of a process of its own."""
    finished = subprocess.run(
        [sys.executable, __file__, f"--name={name}", f"--replay={replay}"],
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(finished.stdout)
    return {
        "model": name,
        "replayed": bool(replay),
        "first": statistics.median(found.values()),
        "worst": max(found.values()),
        "worst_of": max(found, key=found.get),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--name")
    parser.add_argument("--replay", type=int, default=0)
    options = parser.parse_args()
    if options.name:
        tf.compat.v1.disable_eager_execution()
        path = ROOT / "saved_models" / options.name / "1"
        print(json.dumps(ratios(path, options.replay)))
        return
    rows = [measure(name, replay) for name in NAMES for replay in (0, 1)]
    columns = ["model", "replayed", "first", "worst", "worst_of"]
    measuring.report("warmup", rows, columns)


if __name__ == "__main__":
    main()
