"""Writing a SavedModel version, complete or not at all."""

import errno
import pathlib
import re
import uuid

import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import fingerprint_pb2

from keras_csc.export.card import model_card
from keras_csc.export.signatures import signatures
from keras_csc.files import locked
from keras_csc.files import new_folder
from keras_csc.files import remove
from keras_csc.validation import AdvisedError
from keras_csc.validation import check_integers
from keras_csc.validation import plain

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
# The `allowed_batch_sizes` of serving/batching.config.
BATCH_SIZES = (1, 8, 32)
VALUES = {"image": 0.5, "sparsity": 0.1, "label": -1, "seed": 0}
FILE_GREY = 99
LOCK = ".lock"
# What a killed export leaves of a version.
UNFINISHED = r"\.\d+-\w{8}\.partial"


def export_saved_model(
    model, folder, card=None, batch_sizes=BATCH_SIZES, tolerance=None
):
    """Writes an autoencoder as `folder/VERSION/`, a SavedModel to serve.

    The version is the number after the highest one in the folder.

    `keras_csc.export.signatures` lists its signatures. Neither Keras nor this
    package is needed to load it. Beside the graph and weights it holds
    `card.md`, a description. Where `tensorflow-serving-api` is installed, it
    also holds warm-up requests for TensorFlow Serving. The version is written
    under another name, loaded, compared with the model, and renamed: a server
    that watches the folder never sees a part of it. Exports to the same folder
    wait for each other. Two processes write the same bytes if each exports the
    same model, and no other before it.

    Args:
        model: `ClosedLoopAutoencoder`.
        folder: folder of the model's versions; its name is the model's name.
        card: dict from section titles to what the card is to say there: a
            text, a list of texts, or a dict of facts.
        batch_sizes: ints, the sizes of batches that a server makes, for
            warm-up requests; empty for no such requests.
        tolerance: float, the largest difference to the model that counts as
            rounding. The default is `1e-4`, or `0.02` for a model that does not
            compute in float32 or float64.

    Returns:
        `pathlib.Path` of the version's folder.

    Raises:
        ValueError: for a folder that is itself a SavedModel, or a SavedModel
            that does not compute what the model does.

    Example:

    >>> path = export_saved_model(model, "saved_models/digits")
    >>> loaded = tf.saved_model.load(path)
    >>> loaded.signatures["encode"](image=images)["features"]
    """
    folder = pathlib.Path(folder).absolute()
    if tf.distribute.has_strategy():
        raise ValueError(
            "A model must be exported outside of `strategy.scope()`, also if "
            "it was made within."
        )
    if (folder / "saved_model.pb").exists():
        raise ValueError(
            "`folder` must be the folder of a model's versions. Received: "
            f"{str(folder)!r}, which is a version. Pass its parent."
        )
    if batch_sizes:
        check_integers(1, batch_sizes=batch_sizes)
    model.make_weights()
    endpoints = signatures(model)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / LOCK):
        for left in folder.iterdir():
            if re.fullmatch(UNFINISHED, left.name, re.ASCII):
                remove(left)
        numbers = [path.name for path in folder.iterdir()]
        numbers = [int(name) for name in numbers if name.isdecimal()]
        version = max(numbers, default=0) + 1
        path = folder / str(version)
        with new_folder(path) as temporary:
            _write_graph(model, endpoints, temporary)
            loaded = loaded_as(model, endpoints, temporary, tolerance)
            text = model_card(model, folder.name, version, loaded, card or {})
            (temporary / "card.md").write_text(text, encoding="utf-8")
            if batch_sizes:
                write_warmup(model, endpoints, temporary, batch_sizes)
        return path


def write_signatures(endpoints, folder, *layers):
    """Writes signatures of layers as a SavedModel; returns them, loaded."""
    archive = keras.export.ExportArchive()
    for layer in filter(None, layers):
        archive.track(layer)
    for name, (function, specs) in endpoints.items():
        archive.add_endpoint(name, function, input_signature=specs)
    archive.write_out(str(folder), verbose=False)
    return tf.saved_model.load(str(folder)).signatures


def loaded_as(model, endpoints, path, tolerance):
    """The signatures of a SavedModel, compared with the model's own."""
    loaded = tf.saved_model.load(str(path))
    check_answers(
        float_signatures(endpoints),
        lambda name, inputs: loaded.signatures[name](**inputs),
        model,
        str(path),
        tolerance,
    )
    return loaded.signatures


def float_signatures(signatures):
    """The signatures of a dict that take only numbers, no files."""
    return {
        name: (function, specs)
        for name, (function, specs) in signatures.items()
        if all(spec.dtype != tf.string for spec in specs)
    }


def check_answers(signatures, call, model, what, tolerance):
    """Compares answers to random inputs with what a model's functions answer.

    `call` is a function of the name of a signature and a dict of its inputs.

    Raises:
        AdvisedError: if answers differ, or an output is not finite.
    """
    if tolerance is None:
        exact = model.encoder.compute_dtype in ("float32", "float64")
        tolerance = 1e-4 if exact else 0.02
    for name, (function, specs) in signatures.items():
        if name == "embed":  # It divides by norms that may be near 0.
            continue
        inputs = _random_inputs(model, specs)
        answer = f"the signature {name!r} of {what!r}"
        check_same(call(name, inputs), function(**inputs), answer, tolerance)


def check_same(received, expected, what, tolerance):
    """Raises `AdvisedError` unless a dict of outputs is as expected."""
    for output, value in expected.items():
        answer, value = np.asarray(received[output]), np.asarray(value)
        difference = np.inf
        if answer.shape == value.shape:
            difference = np.max(np.abs(answer - value))
        if not difference <= tolerance:
            raise AdvisedError(
                f"`{output}` of {what} must be finite and what the model "
                f"computes, up to {tolerance}. The largest difference is "
                f"{difference}. Check the model's weights.",
                "tolerance",
                "Or pass another `tolerance`.",
            )


def _random_inputs(model, specs):
    """Dict of random tensors for every input, three rows in its range."""
    rng = np.random.default_rng(0)
    inputs = {}
    for spec in specs:
        shape = (3, *_item_shape(model, spec))
        values = rng.uniform(-1.0, 1.0, shape)
        if spec.name == "features":
            values /= np.linalg.norm(values, axis=-1, keepdims=True)
        elif spec.name == "sparsity":
            values = 0.1 * np.abs(values)
        elif spec.dtype == tf.int32:
            values = np.full(shape, -1 if spec.name == "label" else 7)
        inputs[spec.name] = tf.constant(values, spec.dtype)
    return inputs


def _item_shape(model, spec):
    """Shape of an item of an input; maps are of the model's own size."""
    if spec.name == "image":
        return model.encoder.image_shape
    if spec.name != "features":
        return ()
    decoder = model.decoder
    of_maps = None in decoder.features_shape
    return decoder.map_shape if of_maps else decoder.features_shape


def _write_graph(model, endpoints, folder):
    """Writes the SavedModel with Keras's own archive.

    TensorFlow Serving can't load what `tf.saved_model.save` makes of a module
    that holds a Keras model (tensorflow#72963). The archive finds the variables
    in the functions, which list them in another order in every process. So they
    are sorted, with the density's, which are not among the model's weights.
    `track(model)` would trace the decoder on its own, without atoms.
    """
    archive = keras.export.ExportArchive()
    weights = list(model.weights)
    if model.density is not None:
        weights += model.density.variables.values()
    places = {id(w.value): place for place, w in enumerate(weights)}
    for name, (function, specs) in endpoints.items():
        added = archive.add_endpoint(name, function, input_signature=specs)
        traced = added.get_concrete_function()
        traced.set_variables(
            sorted(traced.variables, key=lambda v: places.get(id(v), -1))
        )
    try:
        archive.write_out(str(folder), verbose=False)
    except tf.errors.OpError as error:
        raise OSError(errno.EIO, plain(error), str(folder)) from error
    _name_by_content(folder)


def _name_by_content(folder):
    """Replaces the random identifier of a SavedModel by one of its content."""
    path = folder / "fingerprint.pb"
    if not path.exists():
        return
    fingerprint = fingerprint_pb2.FingerprintDef.FromString(path.read_bytes())
    fingerprint.ClearField("uuid")
    content = fingerprint.SerializeToString(deterministic=True).hex()
    fingerprint.uuid = str(uuid.uuid5(uuid.NAMESPACE_OID, content))
    path.write_bytes(fingerprint.SerializeToString(deterministic=True))


def write_warmup(model, signatures, folder, batch_sizes):
    """Writes warm-up requests into a SavedModel's folder.

    There is one for every signature and size of a batch, as TensorFlow Serving
    computes the first batch of a size slowly. Every item of a request is the
    same, and is written once: a record has some hundred bytes.

    `folder` is the SavedModel's, in the folder with the model's name.
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

    It holds the value once, with the shape: readers of such messages repeat it.
    """
    shape, value = _item_shape(model, spec), VALUES.get(spec.name)
    if spec.name == "features":
        value = shape[-1] ** -0.5
    elif spec.name == "image_bytes":
        pixels = np.full(model.encoder.image_shape, FILE_GREY, "uint8")
        value = tf.io.encode_png(pixels).numpy()
    return tf.make_tensor_proto(value, spec.dtype, (size, *shape))
