"""Requests that TensorFlow Serving replays before it serves a version."""

import numpy as np
import tensorflow as tf

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
# The `allowed_batch_sizes` of serving/batching.config.
BATCH_SIZES = (1, 8, 32)
VALUES = {"image": 0.5, "sparsity": 0.1, "label": -1, "seed": 0}
FILE_GREY = 99


def write_warmup(model, signatures, folder, batch_sizes):
    """Writes warm-up requests into a SavedModel's folder.

    There is one for every signature and size of a batch, as TensorFlow Serving
    computes a batch of another size slowly once. Every item of a request is
    the same, and is written once: a record has some hundred bytes.

    `folder` is the SavedModel's, in the folder of its name.
    """
    try:
        from tensorflow_serving.apis import prediction_log_pb2
    except ImportError:
        print(
            "No warm-up requests for TensorFlow Serving: they need the "
            "package tensorflow-serving-api."
        )
        return
    path = folder / WARMUP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, (_, specs) in signatures.items():
            for size in batch_sizes:
                log = prediction_log_pb2.PredictionLog()
                request = log.predict_log.request
                request.model_spec.name = folder.parent.name
                request.model_spec.signature_name = signature
                for spec in specs:
                    value = _repeated(model, spec, size)
                    request.inputs[spec.name].CopyFrom(value)
                writer.write(log.SerializeToString(deterministic=True))


def _repeated(model, spec, size):
    """A `TensorProto` whose numbers, or files, are all the same one.

    It holds that once, with the shape: readers of such messages repeat it.
    """
    shape, value = (), VALUES.get(spec.name)
    if spec.name == "image":
        shape = model.encoder.image_shape
    elif spec.name == "features":
        decoder = model.decoder
        of_maps = None in decoder.features_shape
        shape = decoder.map_shape if of_maps else decoder.features_shape
        value = shape[-1] ** -0.5
    elif spec.name == "image_bytes":
        pixels = np.full(model.encoder.image_shape, FILE_GREY, "uint8")
        value = tf.io.encode_png(pixels).numpy()
    return tf.make_tensor_proto(value, spec.dtype, (size, *shape))
