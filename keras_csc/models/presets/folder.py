"""Folders that hold an autoencoder: the layout of KerasHub's presets.

`config.json` is a serialized Keras object. Its `config` is the architecture. If
the model has them, the configuration of its density and the names of its atoms
are there, too.
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
from keras_csc.models.architecture import kernel_numbers
from keras_csc.models.decoder import Decoder
from keras_csc.models.encoder import Encoder
from keras_csc.models.presets.architectures import model_config
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
DENSITY, ATOM_NAMES = "density", "atom_names"
NAME = "registered_name"
AUTOENCODER = "keras_csc>ClosedLoopAutoencoder"
CLASS = {
    "module": "keras_csc.models",
    "class_name": "ClosedLoopAutoencoder",
    NAME: AUTOENCODER,
}

# What the JSON of a folder says: the entries of the architecture, the
# configuration of the density, which may be `None`, the names of atoms, and the
# metadata.
Preset = collections.namedtuple(
    "Preset",
    ["folder", "entries", "density", "atom_names", "metadata"],
    defaults=(None, (), {}),
)


def read(folder):
    """Reads the JSON of a folder, each file once, and returns a `Preset`.

    Raises:
        ValueError: if the folder is not a preset, or its JSON is damaged or
            of something else.
    """
    content, saved = _read_json(folder / CONFIG_FILE)
    _, metadata = _read_json(folder / METADATA_FILE)
    name, entries = saved.get(NAME), saved.get("config")
    if name != AUTOENCODER or not isinstance(entries, dict):
        raise ValueError(
            f"{str(folder / CONFIG_FILE)!r} must be of a {AUTOENCODER} with a "
            f"`config`. Received: {shown(name)} with {shown(entries)}"
        )
    actual = hashlib.sha256(content).hexdigest()
    _check_digest(folder / CONFIG_FILE, metadata, actual)
    density = entries.pop(DENSITY, None)
    return Preset(
        folder, entries, density, entries.pop(ATOM_NAMES, ()), metadata
    )


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


def load_weights(model, preset, config):
    """Loads the weights of a `Preset` into a model of a `config`.

    The model is built once the file is known to be about as large as it. Keras
    reads no number that lies in another file, or is not stored.

    Raises:
        ValueError: for weights of another architecture, or that are damaged,
            replaced, not there or not finite.
    """
    path = preset.folder / WEIGHTS_FILE
    _check_there(path)
    size = path.stat().st_size
    least = 2 * kernel_numbers(**config)  # in float16
    if not least <= size <= MOST_BYTES:
        raise _misfit(path, f"it has {size} bytes, not {least} to {MOST_BYTES}")
    _check_digest(path, preset.metadata, digest(path))
    model.make_weights()
    try:
        model.load_weights(path)
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise _misfit(path, textwrap.shorten(str(error), 300)) from error
    density = model.density and model.density.get_config()
    if density != preset.density:
        raise _misfit(path, f"its density is {shown(density)}")
    for weight in model.weights:
        if not np.all(np.isfinite(keras.ops.convert_to_numpy(weight))):
            raise ValueError(
                f"{str(path)!r} holds a weight that is not finite: "
                f"{weight.path}."
            )


def name_atoms(model, preset):
    """Gives a model the names of a `Preset`; a `ValueError` for others."""
    try:
        for stage, atom, name in preset.atom_names:
            model.name_atom(stage, atom, name)
    except (TypeError, ValueError) as error:
        path = preset.folder / CONFIG_FILE
        raise _misfit(path, f"{ATOM_NAMES}: {error}") from error


def _misfit(path, reason):
    return ValueError(
        f"{str(path)!r} is damaged, or does not fit the architecture: {reason}."
    )


def save(model, folder, about=None, card=None):
    """Writes a folder for `from_preset`, laid out as in KerasHub.

    The folder appears complete or not at all. `config.json` has the
    architecture, and `model.weights.h5` the weights. `metadata.json` has
    versions, the date, the number of weights and the SHA-256 of the other
    two.

    Args:
        folder: path of a folder that does not exist yet.
        about: dict, more entries of `metadata.json`.
        card: str, text of a `README.md`.

    Raises:
        ValueError: if it exists, or for an encoder or decoder of a class of
            your own.
        OSError: if it can't be written.
    """
    players = type(model.encoder), type(model.decoder)
    if players != (Encoder, Decoder):
        raise ValueError(
            "A preset must be of an `Encoder` and a `Decoder`. Received: "
            f"{players[0].__name__} and {players[1].__name__}. Keep classes of "
            'your own with `model.save("NAME.keras")`.'
        )
    config = model_config(model)
    if model.density is not None:
        config[DENSITY] = model.density.get_config()
    if model.atom_names:
        config[ATOM_NAMES] = model.get_config()[ATOM_NAMES]
    with new_folder(folder) as new:
        _write_weights(new / WEIGHTS_FILE, model)
        _write_json(new / CONFIG_FILE, {**CLASS, "config": config})
        now = datetime.datetime.now(datetime.timezone.utc)
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
    # HDF5 crashes the process when a disk fills up; this raises an `OSError`.
    density = model.density.variables.values() if model.density else ()
    size = sum(
        keras.ops.convert_to_numpy(weight).nbytes + OVERHEAD
        for weight in (*model.weights, *density)
    )
    with open(path, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)
    path.unlink()
    # Without what training keeps: optimizers, and the game's memory.
    alone = type(model)(model.encoder, model.decoder, density=model.density)
    alone.make_weights()
    alone.save_weights(path)
