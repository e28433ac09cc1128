"""Writing a SavedModel version, complete or not at all."""

import contextlib
import errno
import os
import pathlib
import shutil
import uuid

import keras
import tensorflow as tf
from tensorflow.core.protobuf import fingerprint_pb2

from keras_csc.export.card import model_card
from keras_csc.export.comparison import compare
from keras_csc.export.comparison import float_signatures
from keras_csc.export.signatures import signatures
from keras_csc.export.warmup import BATCH_SIZES
from keras_csc.export.warmup import check_batch_sizes
from keras_csc.export.warmup import write_warmup
from keras_csc.files import locked
from keras_csc.validation import check_integer

CARD_FILE = "card.md"
INCOMPLETE = ".incomplete"
LOCK = ".lock"
MOST_VERSION = 2**63 - 1  # that a server takes
# Of a version that an export has begun to write.
VERSION_PARTS = {
    CARD_FILE,
    "assets",
    "assets.extra",
    "fingerprint.pb",
    "saved_model.pb",
    "variables",
}


def export_saved_model(
    model,
    folder,
    version=None,
    card=None,
    batch_sizes=BATCH_SIZES,
    tolerance=None,
):
    """Writes an autoencoder as `folder/VERSION/`, a SavedModel to serve.

    Its signatures are those of `keras_csc.export.signatures`; for loading it,
    neither Keras nor this package is needed. Beside the graph and weights it
    holds `card.md`, a description, and, where `tensorflow-serving-api` is
    installed, warm-up requests for TensorFlow Serving. The version is written
    under another name, loaded, compared with the model, and renamed: a server
    that watches the folder never sees a part of it. Exports to the same folder
    wait for each other. Two processes that export the same model and nothing
    before write the same bytes.

    Args:
        model: `ClosedLoopAutoencoder`.
        folder: folder of the model's versions; its name is the model's name.
        version: int, at least 1, by default the next free number.
        card: dict from section titles to what the card is to say there: a
            text, a list of texts, or a dict of facts.
        batch_sizes: sizes of the batches of warm-up requests, those that a
            server makes; none for no such requests.
        tolerance: float, the largest difference to the model that is taken
            for rounding, by default `1e-4`, or `0.02` for a model that does
            not compute in float32 or float64.

    Returns:
        `pathlib.Path` of the version's folder.

    Raises:
        ValueError: for a version that exists or is not a positive int, a
            folder that is itself a SavedModel, wrong sizes of batches, or a
            SavedModel that does not compute what the model does.
        OSError: if the folder can't be written.

    Example:

    >>> path = export_saved_model(model, "saved_models/digits")
    >>> loaded = tf.saved_model.load(path)
    >>> loaded.signatures["encode"](image=images)["features"]
    """
    folder = pathlib.Path(folder).absolute()
    check_saved_model(model, folder, version, batch_sizes)
    found = signatures(model)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / LOCK), _temporary(folder) as temporary:
        version = _free_version(folder, version)
        _write_graph(model, found, temporary)
        loaded = loaded_as(model, found, temporary, tolerance)
        text = model_card(model, folder.name, version, loaded, card or {})
        (temporary / CARD_FILE).write_text(text, encoding="utf-8")
        if batch_sizes:
            write_warmup(model, found, temporary, batch_sizes)
        return temporary.rename(folder / str(version))


def loaded_as(model, found, path, tolerance):
    """The signatures of a SavedModel, compared with the model's own.

    Every signature of numbers is called with a batch of random ones.
    """
    loaded = tf.saved_model.load(str(path))
    compare(
        float_signatures(found),
        lambda name, inputs: loaded.signatures[name](**inputs),
        model,
        str(path),
        tolerance,
    )
    return loaded.signatures


def check_saved_model(model, folder, version, batch_sizes):
    """Raises the `ValueError` of `export_saved_model` for wrong arguments."""
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
    _free_version(folder, version)
    model.make_weights()
    check_batch_sizes(batch_sizes)


def _free_version(folder, version):
    """A version that is not there, by default the one after the highest."""
    paths = folder.iterdir() if folder.is_dir() else ()
    taken = [int(path.name) for path in paths if path.name.isdecimal()]
    free = max(taken, default=0) + 1
    if version in taken:
        raise ValueError(
            f"Version {version} of {str(folder)!r} exists already. Remove it, "
            f"or leave `version` out for the next free one, {free}."
        )
    version = free if version is None else version
    why = f"what a server takes; {str(folder)!r} has a version {free - 1}"
    check_integer(1, MOST_VERSION, why, version=version)
    return version


@contextlib.contextmanager
def _temporary(folder):
    """An empty folder for a version; what is left in it is removed.

    So is what a killed export left under this name, if only an export can
    have made it.
    """
    temporary = folder / INCOMPLETE
    if os.path.lexists(temporary):
        _check_own(temporary)
        shutil.rmtree(temporary)
    temporary.mkdir()
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_own(folder):
    """Raises `ValueError` unless a folder holds parts of a version alone."""
    own = folder.is_dir() and not folder.is_symlink()
    if not own or {path.name for path in folder.iterdir()} - VERSION_PARTS:
        raise ValueError(
            f"An export would replace {str(folder)!r}, which is not what an "
            "export leaves. Move it away."
        )


def _write_graph(model, found, folder):
    """Writes the SavedModel with Keras's own archive.

    `tf.saved_model.save` of a module that holds a Keras model makes one that
    TensorFlow Serving can't load (tensorflow#72963). The archive finds the
    variables in the functions, which list them in another order in every
    process: they are sorted, also those of the density, which are none of the
    model's weights. `track(model)` would trace the decoder on its own, which
    has no atoms.
    """
    archive = keras.export.ExportArchive()
    weights = list(model.weights)
    if model.density is not None:
        weights += model.density.variables.values()
    places = {id(w.value): place for place, w in enumerate(weights)}
    for name, (function, specs) in found.items():
        added = archive.add_endpoint(name, function, input_signature=specs)
        traced = added.get_concrete_function()
        traced.set_variables(
            sorted(traced.variables, key=lambda v: places.get(id(v), -1))
        )
    try:
        archive.write_out(str(folder), verbose=False)
    except tf.errors.OpError as error:
        reason = error.message.splitlines()[0]
        raise OSError(errno.EIO, reason, str(folder)) from error
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
