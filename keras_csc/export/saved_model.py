"""Versions of SavedModels, each complete or not there at all."""

import pathlib
import re

import numpy as np
import tensorflow as tf

from keras_csc.export.card import model_card
from keras_csc.export.denoiser import denoiser_signatures
from keras_csc.export.features import features_signatures
from keras_csc.export.signatures import autoencoder_signatures
from keras_csc.export.writing import item_shape
from keras_csc.export.writing import writing
from keras_csc.features import SparseFeatures
from keras_csc.files import locked
from keras_csc.files import remove
from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.restoration import SparseDenoiser
from keras_csc.validation import check_integers

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
# The `allowed_batch_sizes` of serving/batching.config.
BATCH_SIZES = (1, 8, 32)
VALUES = {"image": 0.5, "sparsity": 0.1, "label": -1, "seed": 0}
VALUES |= {"noise": 0.1, "means": 0.5}
FILE_GREY = 99
LOCK = ".lock"
# What a killed export leaves of a version.
UNFINISHED = r"\.\d+-\w{8}\.partial"
# What each model offers, by its class.
SIGNATURES = {
    ClosedLoopAutoencoder: autoencoder_signatures,
    SparseDenoiser: denoiser_signatures,
    SparseFeatures: features_signatures,
}


def signatures(model):
    """The signatures of a model of ours."""
    for kind, function in SIGNATURES.items():
        if isinstance(model, kind):
            return function(model)
    expected = ", ".join(kind.__name__ for kind in SIGNATURES)
    raise ValueError(
        f"`model` must be one of {expected}. Received: {type(model).__name__}"
    )


def weights_of(model):
    """All variables of a model, in the order in which a SavedModel has them."""
    density = getattr(model, "density", None)
    return [*model.weights, *(density.variables.values() if density else ())]


def export_saved_model(
    model, folder, card=None, batch_sizes=BATCH_SIZES, tolerance=None
):
    """Writes a model as `folder/VERSION/`, a SavedModel to serve.

    The version is the number after the highest one in the folder.

    `keras_csc.export.signatures` lists the signatures of an autoencoder.
    Neither Keras nor this package is needed to load it. Beside the graph and
    the weights it holds `card.md`, a description. Where
    `tensorflow-serving-api` is installed, it also holds warm-up requests for
    TensorFlow Serving. The version is written under another name, loaded,
    compared with the model, and renamed: a server that watches the folder never
    sees a part of it. Exports to the same folder wait for each other. Two
    processes write the same bytes if each exports the same model, and no other
    before it.

    Args:
        model: `ClosedLoopAutoencoder`, `SparseDenoiser` or `SparseFeatures`.
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
    endpoints = signatures(model)
    weights = weights_of(model)
    if tolerance is None:
        dtype = getattr(model, "encoder", model).compute_dtype
        tolerance = 1e-4 if dtype in ("float32", "float64") else 0.02
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / LOCK):
        for left in folder.iterdir():
            if re.fullmatch(UNFINISHED, left.name, re.ASCII):
                remove(left)
        numbers = [path.name for path in folder.iterdir()]
        numbers = [int(name) for name in numbers if name.isdecimal()]
        version = max(numbers, default=0) + 1
        path = folder / str(version)
        written = writing(endpoints, path, weights, tolerance)
        with written as (temporary, loaded):
            text = model_card(model, folder.name, version, loaded, card or {})
            (temporary / "card.md").write_text(text, encoding="utf-8")
            if batch_sizes:
                write_warmup(endpoints, temporary, batch_sizes)
    return path


def write_warmup(endpoints, folder, batch_sizes):
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
        for signature, (_, specs) in endpoints.items():
            for size in batch_sizes:
                log = prediction_log_pb2.PredictionLog()
                request = log.predict_log.request
                request.model_spec.name = folder.parent.name
                request.model_spec.signature_name = signature
                for spec in specs:
                    value = _repeated(spec, size)
                    request.inputs[spec.name].CopyFrom(value)
                writer.write(log.SerializeToString(deterministic=True))


def _repeated(spec, size):
    """A `TensorProto` whose numbers, or files, are all the same one.

    It holds the value once, with the shape: readers of such messages repeat it.
    """
    shape, value = item_shape(spec), VALUES.get(spec.name)
    if spec.name == "features":
        value = shape[-1] ** -0.5
    elif spec.name == "image_bytes":
        pixels = np.full((32, 32, 1), FILE_GREY, "uint8")
        value = tf.io.encode_png(pixels).numpy()
    return tf.make_tensor_proto(value, spec.dtype, (size, *shape))
