"""Folders that hold a model: the layout of KerasHub's presets.

`config.json` is a serialized Keras object. Its `config` is the model's
`preset_config`.
`metadata.json` says which versions saved it, when, how many weights there are,
and the SHA-256 of the two other files. `model.weights.h5` holds the weights.
A `README.md` may stand beside them.
"""

import collections
import datetime
import hashlib
import json
import os
import textwrap

import keras
import numpy as np

from keras_csc.files import digest
from keras_csc.files import new_folder
from keras_csc.validation import shown
from keras_csc.version import __version__

CONFIG_FILE = "config.json"
METADATA_FILE = "metadata.json"
WEIGHTS_FILE = "model.weights.h5"
CARD_FILE = "README.md"
FILES = (CONFIG_FILE, METADATA_FILE, WEIGHTS_FILE)
LONGEST_JSON = 2**20  # bytes
MOST_BYTES = 2**32  # of weights, four times as many as an encoder may have
OVERHEAD = 16 * 1024  # bytes of HDF5 for a weight, at most

DIGESTS = "sha256"
NAME = "registered_name"
# What the JSON of a folder says: the class, what makes the model, and the
# metadata.
Preset = collections.namedtuple(
    "Preset", ["folder", "kind", "config", "metadata"]
)


def read(folder, model_class):
    """Reads the JSON of a folder, each file once, and returns a `Preset`.

    Raises:
        ValueError: if the folder is not a preset of a class, or its JSON is
            damaged.
    """
    content, saved = _read_json(folder / CONFIG_FILE)
    _, metadata = _read_json(folder / METADATA_FILE)
    name, config = saved.get(NAME), saved.get("config")
    kind = keras.saving.get_registered_object(str(name))
    if not isinstance(config, dict) or not issubclass(
        kind or object, model_class
    ):
        raise ValueError(
            f"{str(folder / CONFIG_FILE)!r} must be of a "
            f"{keras.saving.get_registered_name(model_class)} with a `config`. "
            f"Received: {shown(name)} with {shown(config)}"
        )
    actual = hashlib.sha256(content).hexdigest()
    _check_digest(folder / CONFIG_FILE, metadata, actual)
    return Preset(folder, kind, config, metadata)


def _read_json(path):
    """The content of a file, and the object that it is."""
    _check_there(path)
    with open(path, "rb") as file:
        content = file.read(LONGEST_JSON + 1)
    try:
        saved = json.loads(content)
    except (ValueError, RecursionError):
        saved = None
    if len(content) > LONGEST_JSON or not isinstance(saved, dict):
        raise ValueError(
            f"{str(path)!r} must hold a JSON object of at most {LONGEST_JSON} "
            "bytes, and holds something else."
        )
    return content, saved


def _check_there(path):
    if not path.is_file():
        raise ValueError(
            f"The folder {str(path.parent)!r} is not a preset: it has no file "
            f"{path.name}. Write one with `save_to_preset`."
        )


def _check_digest(path, metadata, actual):
    digests = metadata.get(DIGESTS, {})
    expected = digests.get(path.name) if isinstance(digests, dict) else digests
    if expected and expected != actual:
        raise ValueError(
            f"{str(path)!r} is damaged or was replaced: its SHA-256 is not "
            f"that in {METADATA_FILE}. Copy the folder again, or remove it "
            "from the hub's cache and download it again; to trust the files, "
            f"remove {DIGESTS!r} from {METADATA_FILE}."
        )


def check_others(folder):
    """Raises `ValueError` for files beside a preset; hidden ones may be."""
    names = {path.name for path in folder.iterdir() if path.name[0] != "."}
    unexpected = sorted(names - {*FILES, CARD_FILE})
    if unexpected and CONFIG_FILE in names:
        raise ValueError(
            f"The preset folder {str(folder)!r} holds unexpected files: "
            f"{', '.join(unexpected)}. Expected: {', '.join(FILES)} and "
            f"{CARD_FILE}. Remove the others."
        )


def load_weights(model, preset, least=0):
    """Loads the weights of a `Preset` into a model of its `config`.

    A model is built once the file is known to have `least` bytes. Keras reads
    no number that lies in another file, or is not stored.

    Raises:
        ValueError: for weights of another architecture, or that are damaged,
            replaced, not there or not finite.
    """
    path = preset.folder / WEIGHTS_FILE
    _check_there(path)
    size = path.stat().st_size
    if not least <= size <= MOST_BYTES:
        raise misfit(path, f"it has {size} bytes, not {least} to {MOST_BYTES}")
    _check_digest(path, preset.metadata, digest(path))
    if not model.built:
        model.build()
    try:
        model.load_weights(path)
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise misfit(path, textwrap.shorten(str(error), 300)) from error
    for weight in model.weights:
        if not np.all(np.isfinite(keras.ops.convert_to_numpy(weight))):
            raise ValueError(
                f"{str(path)!r} holds a weight that is not finite: "
                f"{weight.path}."
            )


def misfit(path, reason):
    return ValueError(
        f"{str(path)!r} is damaged, or does not fit the architecture: {reason}."
    )


def save(model, folder, about=None, card=None):
    """Writes a `PresetModel` to a folder; see `save_to_preset`."""
    kind = type(model)
    config = {
        "module": kind.__module__,
        "class_name": kind.__name__,
        NAME: keras.saving.get_registered_name(kind),
        "config": model.preset_config(),
    }
    now = datetime.datetime.now(datetime.timezone.utc)
    with new_folder(folder) as new:
        _write_weights(new / WEIGHTS_FILE, model)
        _write_json(new / CONFIG_FILE, config)
        metadata = {
            **(about or {}),
            "keras_version": keras.__version__,
            "keras_csc_version": __version__,
            "parameter_count": model.count_params(),
            "date_saved": now.strftime("%Y-%m-%d@%H:%M:%S"),
            DIGESTS: {
                name: digest(new / name) for name in (CONFIG_FILE, WEIGHTS_FILE)
            },
        }
        _write_json(new / METADATA_FILE, metadata)
        if card is not None:
            (new / CARD_FILE).write_text(card, encoding="utf-8")


def _write_json(path, entries):
    # Numbers may be NumPy's.
    text = json.dumps(entries, indent=2, default=np.generic.item)
    path.write_text(text + "\n")


def _write_weights(path, model):
    alone = model.without_training()
    density = getattr(alone, "density", None)
    weights = [*alone.weights, *(density.variables.values() if density else ())]
    # HDF5 crashes the process when a disk fills up; this raises an `OSError`.
    size = sum(
        keras.ops.convert_to_numpy(weight).nbytes + OVERHEAD
        for weight in weights
    )
    with open(path, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)
    path.unlink()
    alone.save_weights(path)
