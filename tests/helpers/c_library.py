"""A SavedModel in TensorFlow's C library, which looks at no shapes.

`python c_library.py LIBRARY SAVED_MODEL` reads calls as JSON and writes what
came of them.
"""

import ctypes
import json
import math
import pathlib
import sys

Pointer = ctypes.c_void_p


class Output(ctypes.Structure):
    _fields_ = [("operation", Pointer), ("index", ctypes.c_int)]


class Session:
    """`TF_LoadSessionFromSavedModel` and `TF_SessionRun`."""

    def __init__(self, library, path):
        framework = f"{library}/libtensorflow_framework.so.2"
        ctypes.CDLL(framework, ctypes.RTLD_GLOBAL)
        self.library = ctypes.CDLL(f"{library}/libtensorflow_cc.so.2")
        self.status, self.graph = self.call("NewStatus"), self.call("NewGraph")
        tag = ctypes.c_char_p(b"serve")
        self.session = self.call(
            "LoadSessionFromSavedModel",
            self.call("NewSessionOptions"),
            None,
            path.encode(),
            ctypes.byref(tag),
            1,
            self.graph,
            None,
            self.status,
        )
        if self.code():
            sys.exit(self.message())

    def call(self, name, *arguments, returns=Pointer):
        function = getattr(self.library, f"TF_{name}")
        function.restype = returns
        result = function(*arguments)
        return Pointer(result) if returns is Pointer else result

    def code(self):
        return self.call("GetCode", self.status, returns=ctypes.c_int)

    def message(self):
        return self.call(
            "Message", self.status, returns=ctypes.c_char_p
        ).decode()

    def output(self, name):
        name, index = name.split(":")
        operation = self.call("GraphOperationByName", self.graph, name.encode())
        return Output(operation, int(index))

    def tensor(self, shape, values):
        count = math.prod(shape)
        size = ctypes.c_size_t(4 * count)
        sizes = (ctypes.c_int64 * max(len(shape), 1))(*shape)
        tensor = self.call("AllocateTensor", 1, sizes, len(shape), size)
        data = self.call("TensorData", tensor)
        ctypes.memmove(data, (ctypes.c_float * count)(*values), 4 * count)
        return tensor

    def run(self, feeds, fetch):
        tensors = [self.tensor(*value) for value in feeds.values()]
        count = len(tensors)
        result = Pointer()
        self.call(
            "SessionRun",
            self.session,
            None,
            (Output * count)(*map(self.output, feeds)),
            (Pointer * count)(*tensors),
            count,
            ctypes.byref(self.output(fetch)),
            ctypes.byref(result),
            1,
            None,
            0,
            None,
            self.status,
        )
        if self.code():
            return {"code": self.code(), "message": self.message()}
        rank = self.call("NumDims", result, returns=ctypes.c_int)
        shape = [
            self.call("Dim", result, axis, returns=ctypes.c_int64)
            for axis in range(rank)
        ]
        data = self.call("TensorData", result)
        values = (ctypes.c_float * math.prod(shape)).from_address(data.value)
        return {"code": 0, "shape": shape, "values": list(values)}


def run(path, calls):
    """What the C library, in a process with oneDNN, answers.

    Args:
        path: of the SavedModel.
        calls: list of the name of a signature and a dict of its inputs.

    Returns:
        List of dicts: the `code` of the status, and its `message` or the
        `shape` and `values` of the first output.
    """
    import numpy as np
    import pytest
    import tensorflow as tf

    from tests.helpers.exporting import run_python

    library = tf.sysconfig.get_lib()
    if not (pathlib.Path(library) / "libtensorflow_cc.so.2").exists():
        pytest.skip("needs TensorFlow's C library")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph = tf.compat.v1.saved_model.load(session, ["serve"], str(path))
    given = []
    for name, inputs in calls:
        signature = graph.signature_def[name]
        feeds = {
            signature.inputs[key].name: (
                np.shape(value),
                np.ravel(value).tolist(),
            )
            for key, value in inputs.items()
        }
        fetch = signature.outputs[min(signature.outputs)].name
        given.append({"feeds": feeds, "fetch": fetch})
    finished = run_python(
        [__file__, library, path],
        input=json.dumps(given),
        environment={"TF_ENABLE_ONEDNN_OPTS": "1"},
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    return json.loads(finished.stdout)


if __name__ == "__main__":
    loaded = Session(*sys.argv[1:])
    print(json.dumps([loaded.run(**each) for each in json.load(sys.stdin)]))
