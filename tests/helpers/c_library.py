"""A SavedModel through TensorFlow's C API, by ctypes, in a process of its own.

Its session looks at no shapes, as those of TensorFlow Serving.
`python c_library.py FOLDER SAVED_MODEL` reads pickled calls and writes what
came of them; it imports neither TensorFlow nor Keras nor this package.
"""

import ctypes
import pathlib
import pickle
import sys

import numpy as np

FLOAT = 1  # TF_FLOAT
INVALID_ARGUMENT = 3


class InvalidArgumentError(Exception):
    """TF_INVALID_ARGUMENT."""


class Output(ctypes.Structure):
    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


def library(folder):
    """That of a folder, with the types of what is called."""
    (path, *_) = sorted(pathlib.Path(folder).glob("libtensorflow_cc.so*"))
    found = ctypes.CDLL(str(path))
    pointer = ctypes.c_void_p
    for name, result in (
        ("TF_NewStatus", pointer),
        ("TF_NewGraph", pointer),
        ("TF_NewSessionOptions", pointer),
        ("TF_LoadSessionFromSavedModel", pointer),
        ("TF_GraphOperationByName", pointer),
        ("TF_AllocateTensor", pointer),
        ("TF_TensorData", pointer),
        ("TF_Message", ctypes.c_char_p),
        ("TF_Dim", ctypes.c_int64),
    ):
        getattr(found, name).restype = result
    return found


def tensor_names(path, name):
    """Names of the tensors of a signature, by input, and of an output.

    Args:
        path: `pathlib.Path` of the SavedModel.
        name: of the signature.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    content = (path / "saved_model.pb").read_bytes()
    graph = saved_model_pb2.SavedModel.FromString(content).meta_graphs[0]
    found = graph.signature_def[name]
    inputs = {key: value.name for key, value in found.inputs.items()}
    return inputs, found.outputs[min(found.outputs)].name


def run(path, calls):
    """What the C library, in a process with oneDNN, answers.

    Args:
        path: `pathlib.Path` of the SavedModel.
        calls: list of the name of a signature and a dict of its inputs.

    Returns:
        List of arrays, the first outputs, or `InvalidArgumentError`s.
    """
    import pytest
    import tensorflow as tf

    from tests.helpers.exporting import run_python

    folder = tf.sysconfig.get_lib()
    if not (pathlib.Path(folder) / "libtensorflow_cc.so.2").exists():
        pytest.skip("needs TensorFlow's C library")
    given = [(inputs, tensor_names(path, name)) for name, inputs in calls]
    finished = run_python(
        ["-m", "tests.helpers.c_library", folder, path],
        input=pickle.dumps(given),
        environment={"TF_ENABLE_ONEDNN_OPTS": "1"},
        text=False,
    )
    assert finished.returncode == 0, finished.stderr.decode()[-2000:]
    return pickle.loads(finished.stdout)


class Session:
    """A loaded SavedModel.

    Args:
        folder: str, that of TensorFlow's libraries.
        path: str, that of the SavedModel.
    """

    def __init__(self, folder, path):
        self.library = library(folder)
        self.status = self._pointer(self.library.TF_NewStatus())
        self.graph = self._pointer(self.library.TF_NewGraph())
        options = self._pointer(self.library.TF_NewSessionOptions())
        tags = (ctypes.c_char_p * 1)(b"serve")
        self.session = self._pointer(
            self.library.TF_LoadSessionFromSavedModel(
                options, None, path.encode(), tags, 1, self.graph, None,
                self.status,
            )
        )  # fmt: skip
        self._check()

    @staticmethod
    def _pointer(address):
        return ctypes.c_void_p(address)

    def _check(self):
        code = self.library.TF_GetCode(self.status)
        if code:
            message = self.library.TF_Message(self.status).decode()
            error = {INVALID_ARGUMENT: InvalidArgumentError}
            raise error.get(code, RuntimeError)(message)

    def _place(self, name):
        operation, _, index = name.partition(":")
        found = self.library.TF_GraphOperationByName(
            self.graph, operation.encode()
        )
        return Output(found, int(index))

    def _tensor(self, value):
        value = np.asarray(value, "float32", order="C")
        shape = (ctypes.c_int64 * max(value.ndim, 1))(*value.shape)
        tensor = self.library.TF_AllocateTensor(
            FLOAT, shape, value.ndim, ctypes.c_size_t(value.nbytes)
        )
        data = self.library.TF_TensorData(self._pointer(tensor))
        if value.nbytes:
            ctypes.memmove(data, value.ctypes.data, value.nbytes)
        return tensor

    def run(self, inputs, names):
        """Values of the first output, as an array; see `tensor_names`."""
        places, output = names
        count = len(inputs)
        given = (Output * count)(*(self._place(places[key]) for key in inputs))
        tensors = (ctypes.c_void_p * count)(
            *(self._tensor(value) for value in inputs.values())
        )
        wanted = (Output * 1)(self._place(output))
        results = (ctypes.c_void_p * 1)()
        self.library.TF_SessionRun(
            self.session, None, given, tensors, count, wanted, results, 1,
            None, 0, None, self.status,
        )  # fmt: skip
        self._check()
        return self._array(self._pointer(results[0]))

    def _array(self, tensor):
        rank = self.library.TF_NumDims(tensor)
        shape = [self.library.TF_Dim(tensor, axis) for axis in range(rank)]
        data = self.library.TF_TensorData(tensor)
        size = int(np.prod(shape))
        values = (ctypes.c_float * size).from_address(data)
        return np.array(values, "float32").reshape(shape)


def answer(session, call):
    try:
        return session.run(*call)
    except InvalidArgumentError as error:
        return error


if __name__ == "__main__":
    # Under its own name, so that its errors can be unpickled elsewhere.
    from tests.helpers import c_library

    loaded = c_library.Session(*sys.argv[1:])
    given = pickle.load(sys.stdin.buffer)
    found = [c_library.answer(loaded, each) for each in given]
    pickle.dump(found, sys.stdout.buffer)
