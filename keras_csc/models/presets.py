"""Named architectures, and folders that hold a trained one."""

import difflib
import hashlib
import inspect
import json
import os
import pathlib
import shutil
import tempfile

import keras
import numpy as np

from keras_csc.generation import FeatureDensity
from keras_csc.generation.density import array_shapes
from keras_csc.models.architecture import weight_shapes
from keras_csc.models.conv_encoder import ConvEncoder
from keras_csc.models.decoder import ConvDecoder
from keras_csc.models.decoder import Decoder
from keras_csc.models.encoder import Encoder
from keras_csc.models.staged_encoder import StagedEncoder
from keras_csc.models.weights_file import OVERHEAD
from keras_csc.models.weights_file import check_shapes
from keras_csc.models.weights_file import check_size
from keras_csc.validation import check_choice
from keras_csc.validation import shown

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.weights.h5"
DIGEST = "weights_sha256"
DENSITY = "density"
LONGEST_CONFIG = 2**20  # bytes


def _preset(description, image_shape, filters, sparsity, **config):
    """A preset of the recipe's layers.

    They code without negative numbers by two steps of the solver. The first
    dictionary has twice as many atoms as a patch has numbers, so that it can
    begin as every principal component in both signs. `λ` of the stages above
    the first is in units of their input's deviation.
    """
    config = {
        "image_shape": image_shape,
        "filters": filters,
        "sparsity": sparsity,
        "nonnegative": True,
        **config,
    }
    return {"description": description, "config": config}


GREY = (0.1, 0.2, 0.3)
COLOUR = (0.05, 0.2, 0.3)
PHOTOGRAPH = (0.02, 0.3, 0.5)


def _of_photographs(feature_dim, stages):
    """A preset of maps, with features for `2**stages` pixels a side."""
    side = 2**stages
    return _preset(
        f"Photographs of any size, colour; {feature_dim} features for "
        f"{side}×{side} pixels.",
        (64, 64, 3),
        (96, 64, 128)[:stages],
        PHOTOGRAPH[:stages],
        feature_dim=feature_dim,
        features="map",
    )


PRESETS = {
    "digits": _preset(
        "16×16 grey digits of scikit-learn.",
        (16, 16, 1),
        (32, 128),
        (0.1, 0.3),
        feature_dim=64,
    ),
    "mnist": _preset("32×32 grey.", (32, 32, 1), (32, 128, 128), GREY),
    "fashion_mnist": _preset("32×32 grey.", (32, 32, 1), (32, 128, 128), GREY),
    "cifar10": _preset("32×32 colour.", (32, 32, 3), (96, 128, 128), COLOUR),
    "photographs": _of_photographs(16, 3),
    "photographs_32": _of_photographs(32, 3),
    "photographs_fine": _of_photographs(16, 2),
    "stl10": _preset(
        "48×48 colour.", (48, 48, 3), (96, 128, 256, 512), (*COLOUR, 0.3)
    ),
    "imagenet": _preset(
        "64×64 colour.", (64, 64, 3), (96, 128, 256, 512), (*COLOUR, 0.3)
    ),
    "imagenet_maps": _of_photographs(16, 3),
    "celeb_a": _preset(
        "128×128 colour faces.",
        (128, 128, 3),
        (96, 128, 256, 512, 1024),
        (*COLOUR, 0.3, 0.3),
    ),
    "lsun_bedroom": _preset(
        "128×128 colour.",
        (128, 128, 3),
        (96, 128, 256, 512, 1024),
        (*COLOUR, 0.3, 0.3),
    ),
}


def _arguments(model_class):
    """The arguments that a class has defaults for, and these."""
    parameters = inspect.signature(model_class.__init__).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


# What an entry is where neither a preset nor a folder says it.
DEFAULTS = {
    "network": "csc",
    **_arguments(Encoder),
    "tied": _arguments(Decoder)["tied"],
}
NETWORKS = {"csc": (Encoder, Decoder), "conv": (ConvEncoder, ConvDecoder)}


def names():
    """Names of the presets."""
    return sorted(PRESETS)


def is_folder(preset):
    """Whether `preset` names a folder rather than a preset."""
    return str(preset) not in PRESETS and pathlib.Path(preset).is_dir()


def config(preset, **overrides):
    """Architecture of a preset or of a preset folder, with overrides.

    Args:
        preset: name of a preset, or a folder that `save` wrote.
        **overrides: entries to replace. `filters` of another number of stages
            take the preset's `sparsity` with them, the last one repeated.

    Returns:
        Dict with the keys of `DEFAULTS`.

    Raises:
        ValueError: for an unknown preset or entry.
    """
    if not isinstance(preset, (str, os.PathLike)):
        raise ValueError(
            "`preset` must be the name of a preset or a folder. "
            f"Received: {shown(preset)}"
        )
    if is_folder(preset):
        found = _folder_config(pathlib.Path(preset))
    elif preset in PRESETS:
        found = PRESETS[preset]["config"]
    else:
        close = difflib.get_close_matches(str(preset), names(), n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(
            f"Unknown preset {preset!r}: neither a folder nor one of "
            f"{', '.join(names())}.{hint}"
        )
    result = {**DEFAULTS, **found, **overrides}
    if "filters" in overrides and "sparsity" not in overrides:
        stages = len(result["filters"])
        result["sparsity"] = _for_stages(result["sparsity"], stages)
    unknown = sorted(set(result) - set(DEFAULTS))
    if unknown:
        raise ValueError(
            f"Unknown entries {unknown} of preset {preset!r}. "
            f"Expected: {', '.join(DEFAULTS)}"
        )
    check_choice(NETWORKS, network=result["network"])
    return result


def _for_stages(sparsity, stages):
    """A preset's `λ` for so many stages: cut, or the last one repeated."""
    if isinstance(sparsity, (int, float)):
        return sparsity
    return tuple([*sparsity, *sparsity[-1:] * stages][:stages])


def players(config, **kwargs):
    """Makes the encoder and the decoder of a `config`.

    An encoder without sparse codes leaves out what is for those.
    """
    encoder_class, decoder_class = NETWORKS[config["network"]]
    try:
        return (
            encoder_class(**encoder_arguments(config), **kwargs),
            decoder_class(**_part(config, Decoder), **kwargs),
        )
    except TypeError as error:
        raise ValueError(
            f"An entry of the preset has a wrong type: {error}. "
            f"Received: {shown(config)}"
        ) from error


def encoder_arguments(config):
    """The entries of a `config` that are for its encoder."""
    sparse = NETWORKS[config["network"]][0].sparse
    return _part(config, Encoder if sparse else StagedEncoder)


def _part(config, model_class):
    """The entries of a `config` that are arguments of a class."""
    return {name: config[name] for name in _arguments(model_class)}


def load(model_class, preset, load_weights=True, dtype=None, **overrides):
    """Makes a `model_class(encoder, decoder)` from a preset; see there."""
    found = config(preset, **overrides)
    encoder, decoder = players(found, dtype=dtype)
    model = model_class(encoder, decoder, dtype=dtype)
    if not (load_weights and is_folder(preset)):
        model.build()
        return model
    folder = pathlib.Path(preset)
    density = _folder_entries(folder).get(DENSITY)
    shapes = weight_shapes(found) + _density_shapes(density)
    check_size(folder / WEIGHTS_FILE, shapes)
    _check_digest(folder)
    check_shapes(folder / WEIGHTS_FILE, shapes)
    model.build()
    if density is not None:
        model.density = FeatureDensity.from_config(density)
    _load_weights(model, folder / WEIGHTS_FILE)
    return model


def _density_shapes(config):
    """Shapes of the arrays of a folder's density; none of `None`."""
    if config is None:
        return []
    try:
        return list(array_shapes(**config).values())
    except TypeError as error:
        raise ValueError(
            f"The entry {DENSITY!r} of the preset must be that of a "
            f"`FeatureDensity`. Received: {shown(config)}"
        ) from error


def _check_digest(folder):
    path = folder / WEIGHTS_FILE
    digest = _folder_entries(folder).get(DIGEST)
    if digest and digest != _sha256(path):
        raise ValueError(
            f"{str(path)!r} is damaged or was replaced: its SHA-256 is not "
            f"that in {CONFIG_FILE}. Copy the folder again; to trust the file, "
            f"remove {DIGEST!r} from {CONFIG_FILE}."
        )


def _load_weights(model, path):
    try:
        model.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"{str(path)!r} does not hold the weights of the preset's "
            f"architecture, or is damaged: {error}"
        ) from error
    for weight in model.weights:
        if not np.all(np.isfinite(keras.ops.convert_to_numpy(weight))):
            raise ValueError(
                f"{str(path)!r} holds a weight that is not finite: "
                f"{weight.path}."
            )


def save(model, folder):
    """Writes `config.json` and `model.weights.h5`; see `save_to_preset`.

    The folder appears complete or not at all: it is written under a temporary
    name beside it, and renamed.
    """
    folder = pathlib.Path(folder)
    if folder.exists():
        raise ValueError(
            f"The folder {str(folder)!r} exists already. Remove it, or choose "
            "another name."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = pathlib.Path(
        tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent)
    )
    try:
        _check_room(temporary / WEIGHTS_FILE, model)
        model.save_weights(temporary / WEIGHTS_FILE)
        entries = model_config(model)
        if model.density is not None:
            entries[DENSITY] = model.density.get_config()
        entries[DIGEST] = _sha256(temporary / WEIGHTS_FILE)
        text = json.dumps(entries, indent=2)
        (temporary / CONFIG_FILE).write_text(text + "\n")
        temporary.chmod(0o755)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


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


def model_config(model):
    """The `config` that makes a model's architecture again."""
    arguments = {
        **DEFAULTS,
        **model.encoder.get_config(),
        "tied": model.decoder.tied,
        "network": "csc" if model.encoder.sparse else "conv",
    }
    return {name: arguments[name] for name in DEFAULTS}


def _sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder_config(folder):
    found = _folder_entries(folder)
    return {k: v for k, v in found.items() if k not in (DIGEST, DENSITY)}


def _folder_entries(folder):
    names = {path.name for path in folder.iterdir()}
    names = {name for name in names if not name.startswith(".")}
    unexpected = sorted(names - {CONFIG_FILE, WEIGHTS_FILE})
    if unexpected and CONFIG_FILE in names:
        raise ValueError(
            f"The preset folder {str(folder)!r} holds unexpected files: "
            f"{', '.join(unexpected)}. Expected: {CONFIG_FILE} and "
            f"{WEIGHTS_FILE}. Remove the others."
        )
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise ValueError(
            f"The folder {str(folder)!r} is not a preset: it has no file "
            f"{CONFIG_FILE}. Write one with `save_to_preset`."
        )
    if path.stat().st_size > LONGEST_CONFIG:
        raise ValueError(
            f"{str(path)!r} must have at most {LONGEST_CONFIG} bytes. "
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
