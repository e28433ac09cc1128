"""A SavedModel through the session of TensorFlow's C API.

It looks at no shapes, as the sessions of TensorFlow Serving; what `run` of
Python's session does before is left out.
"""

import numpy as np
import tensorflow as tf

InvalidArgumentError = tf.errors.InvalidArgumentError


def run(path, calls):
    """What the C library answers.

    Args:
        path: `pathlib.Path` of the SavedModel.
        calls: list of the name of a signature and a dict of its inputs.

    Returns:
        List of arrays, the first outputs, or `InvalidArgumentError`s.
    """
    graph = tf.Graph()
    with tf.compat.v1.Session(graph=graph) as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(path))

        def place(tensor):
            return graph.get_tensor_by_name(tensor.name)._as_tf_output()

        def answer(name, inputs):
            signature = loaded.signature_def[name]
            fed = {
                place(signature.inputs[key]): np.asarray(value, "float32")
                for key, value in inputs.items()
            }
            output = signature.outputs[min(signature.outputs)]
            try:
                (found,) = session._call_tf_sessionrun(
                    None, fed, [place(output)], [], None
                )
            except InvalidArgumentError as error:
                return error
            return found

        return [answer(name, inputs) for name, inputs in calls]
