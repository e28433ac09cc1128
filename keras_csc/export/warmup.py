"""Requests that TensorFlow Serving replays before it serves a version."""

import tensorflow as tf

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"


def write_warmup(folder, model_name, requests):
    """Writes warm-up requests into a SavedModel's folder.

    Args:
        folder: `pathlib.Path` of the SavedModel.
        model_name: name under which it is to be served.
        requests: dict from names of signatures to dicts of input tensors.

    Returns:
        Whether they were written: it takes the optional package
        `tensorflow-serving-api`.
    """
    try:
        from tensorflow_serving.apis import prediction_log_pb2
    except ImportError:
        return False
    path = folder / WARMUP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests.items():
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.name = model_name
            request.model_spec.signature_name = signature
            for name, value in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            writer.write(log.SerializeToString())
    return True
