"""A SavedModel in TensorFlow's C library, in a process of its own.

`python c_library_process.py FOLDER SAVED_MODEL` reads pickled calls and writes
what came of them. It imports neither TensorFlow nor Keras nor this package.
"""

import pathlib
import pickle
import sys

from tests.helpers import c_library


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
    given = [
        (inputs, c_library.tensor_names(path, name)) for name, inputs in calls
    ]
    finished = run_python(
        [__file__, folder, path],
        input=pickle.dumps(given),
        environment={"TF_ENABLE_ONEDNN_OPTS": "1"},
        text=False,
    )
    assert finished.returncode == 0, finished.stderr.decode()[-2000:]
    return pickle.loads(finished.stdout)


def answer(session, call):
    try:
        return session.run(*call)
    except c_library.InvalidArgumentError as error:
        return error


if __name__ == "__main__":
    loaded = c_library.Session(*sys.argv[1:])
    given = pickle.load(sys.stdin.buffer)
    pickle.dump([answer(loaded, each) for each in given], sys.stdout.buffer)
