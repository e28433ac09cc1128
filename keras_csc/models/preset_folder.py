"""Folders that hold an autoencoder: the layout of KerasHub's presets.

`config.json` is a serialized Keras object, whose `config` is the architecture,
the entries of `presets.config`, and that of the density of features, if the
model has one. `metadata.json` says which versions saved it, when, how many
weights there are, and the SHA-256 of the two other files. `model.weights.h5`
holds the weights. A `README.md` may stand beside them.
"""

import datetime
import json
import os

import keras

from keras_csc.files import digest
from keras_csc.models.weights_file import OVERHEAD
from keras_csc.models.weights_file import halve
from keras_csc.validation import shown
from keras_csc.version import __version__

CONFIG_FILE = "config.json"
METADATA_FILE = "metadata.json"
WEIGHTS_FILE = "model.weights.h5"
CARD_FILE = "README.md"
FILES = (CONFIG_FILE, METADATA_FILE, WEIGHTS_FILE)
DIGESTS = "sha256"
DENSITY = "density"
LONGEST_JSON = 2**20  # bytes

NAME = "registered_name"
CLASS = {
    "module": "keras_csc.models",
    "class_name": "ClosedLoopAutoencoder",
    NAME: "keras_csc>ClosedLoopAutoencoder",
}
# Entries of the architectures of two networks, before encoder and decoder had
# the same atoms.
FORMER = ("tied", "split")


def write(folder, model, architecture, half=False, about=None):
    """Writes the three files into an empty folder.

    Args:
        folder: `pathlib.Path`.
        model: `ClosedLoopAutoencoder`.
        architecture: dict that `architecture` is to return.
        half: bool, whether arrays of three axes and more are in float16.
        about: dict, more entries of `metadata.json`; or `None`.
    """
    _check_room(folder / WEIGHTS_FILE, model)
    # Without what training keeps: optimizers, and the game's memory.
    alone = type(model)(model.encoder, model.decoder, density=model.density)
    alone.make_weights()
    alone.save_weights(folder / WEIGHTS_FILE)
    if half:
        halve(folder / WEIGHTS_FILE)
    config = dict(architecture)
    if model.density is not None:
        config[DENSITY] = model.density.get_config()
    _write_json(folder / CONFIG_FILE, {**CLASS, "config": config})
    now = datetime.datetime.now(datetime.timezone.utc)
    metadata = {
        **(about or {}),
        "keras_version": keras.__version__,
        "keras_csc_version": __version__,
        "parameter_count": model.count_params(),
        "date_saved": now.strftime("%Y-%m-%d@%H:%M:%S"),
        DIGESTS: {
            name: digest(folder / name) for name in (CONFIG_FILE, WEIGHTS_FILE)
        },
    }
    _write_json(folder / METADATA_FILE, metadata)


def metadata(folder):
    """What `metadata.json` says; an empty dict where there is none."""
    path = folder / METADATA_FILE
    return _read_json(path) if path.exists() else {}


def architecture(folder):
    """The architecture in a folder.

    Args:
        folder: `pathlib.Path`.

    Raises:
        ValueError: if the folder is not a preset, or its configuration is
            damaged or that of something else.
    """
    return {k: v for k, v in _config(folder).items() if k != DENSITY}


def density(folder):
    """The configuration of the density in a folder; `None` without one.

    Raises:
        ValueError: as `architecture`.
    """
    return _config(folder).get(DENSITY)


def _config(folder):
    found = _read_json(folder / CONFIG_FILE)
    name, config = found.get(NAME), found.get("config")
    if name != CLASS[NAME] or not isinstance(config, dict):
        raise ValueError(
            f"{str(folder / CONFIG_FILE)!r} must be of a {CLASS[NAME]} with a "
            f"`config`. Received: {shown(name)} with {shown(config)}"
        )
    check_digest(folder, CONFIG_FILE)
    if any(name in config for name in FORMER):
        raise ValueError(
            f"{str(folder)!r} is of a keras_csc whose encoder and decoder were "
            "two networks with atoms of their own. They are one network now: "
            "train the model again."
        )
    return config


def check_others(folder):
    """Checks that a folder holds nothing but a preset.

    Raises:
        ValueError: if it does; hidden files are no matter.
    """
    names = {path.name for path in folder.iterdir()}
    names = {name for name in names if not name.startswith(".")}
    unexpected = sorted(names - {*FILES, CARD_FILE})
    if unexpected and CONFIG_FILE in names:
        raise ValueError(
            f"The preset folder {str(folder)!r} holds unexpected files: "
            f"{', '.join(unexpected)}. Expected: {', '.join(FILES)} and "
            f"{CARD_FILE}. Remove the others."
        )


def check_digest(folder, name):
    """Checks a file against its SHA-256 in `metadata.json`.

    Raises:
        ValueError: if it is another.
    """
    digests = _digests(folder)
    expected = digests.get(name) if isinstance(digests, dict) else digests
    if expected and expected != digest(folder / name):
        raise ValueError(
            f"{str(folder / name)!r} is damaged or was replaced: its SHA-256 "
            f"is not that in {METADATA_FILE}. Copy the folder again, or remove "
            "it from the hub's cache and download it again; to trust the "
            f"files, remove {DIGESTS!r} from {METADATA_FILE}."
        )


def _digests(folder):
    return _read_json(folder / METADATA_FILE).get(DIGESTS, {})


def _check_room(path, model):
    """Raises an `OSError` unless a file can hold a model's weights.

    HDF5 crashes the process when a disk fills up.
    """
    weights = [*model.weights]
    if model.density is not None:
        weights += model.density.variables.values()
    size = sum(
        keras.ops.convert_to_numpy(weight).nbytes + OVERHEAD
        for weight in weights
    )
    with open(path, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)
    path.unlink()


def _write_json(path, entries):
    path.write_text(json.dumps(entries, indent=2) + "\n")


def _read_json(path):
    if not path.is_file():
        raise ValueError(
            f"The folder {str(path.parent)!r} is not a preset: it has no file "
            f"{path.name}. Write one with `save_to_preset`."
        )
    if path.stat().st_size > LONGEST_JSON:
        raise ValueError(
            f"{str(path)!r} must have at most {LONGEST_JSON} bytes. "
            f"Received: {path.stat().st_size}"
        )
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{str(path)!r} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(
            f"{str(path)!r} must hold a JSON object. Received: {shown(found)}"
        )
    return found
