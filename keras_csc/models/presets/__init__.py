"""Presets: architectures by name, and folders and hubs with trained ones."""

import difflib
import os
import pathlib

import numpy as np

from keras_csc.models.presets import folder as folders
from keras_csc.models.presets import hubs
from keras_csc.models.presets.architectures import DEFAULTS
from keras_csc.models.presets.architectures import PRESETS
from keras_csc.models.presets.architectures import arguments_of
from keras_csc.models.presets.architectures import completed
from keras_csc.models.presets.architectures import model_config
from keras_csc.models.presets.architectures import players
from keras_csc.models.presets.folder import FILES
from keras_csc.models.presets.folder import save
from keras_csc.validation import AdvisedError
from keras_csc.validation import shown

PACKAGE = pathlib.Path(__file__).parents[2]
TRAINED = PACKAGE / "trained"
if not TRAINED.is_dir():  # in the repository, and not in an installed package
    TRAINED = PACKAGE.parent / "trained"


def names():
    """Names of the presets, of architectures and of trained models."""
    return sorted([*PRESETS, *trained_names()])


def trained_names():
    """Names of the trained models that come with the package."""
    return sorted(path.parent.name for path in TRAINED.glob("*/config.json"))


def has_weights(preset):
    """Whether `preset` names trained weights, not an architecture alone."""
    return hubs.is_uri(preset) or _folder(preset) is not None


def _folder(preset):
    """The folder of trained weights on this machine, or `None`."""
    if str(preset) in trained_names():
        return TRAINED / preset
    path = pathlib.Path(preset)
    return path if str(preset) not in PRESETS and path.is_dir() else None


def find(preset):
    """Looks up all that a preset says, but for its weights.

    Returns:
        `folder.Preset`; that of an architecture alone has no folder.

    Raises:
        As `ClosedLoopAutoencoder.from_preset`.
    """
    if hubs.is_uri(preset):
        files = (folders.CONFIG_FILE, folders.METADATA_FILE)
        return folders.read(hubs.download(preset, files))
    if path := _folder(preset):
        folders.check_others(path)
        return folders.read(path)
    if preset in PRESETS:
        return folders.Preset(None, PRESETS[preset])
    close = difflib.get_close_matches(str(preset), names(), n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(
        f"Unknown preset {preset!r}: neither a folder, nor a URI such as "
        f"hf://OWNER/NAME, nor one of {', '.join(names())}.{hint}"
    )


def config(preset, **overrides):
    """Architecture of a preset, with overrides.

    Args:
        preset: as of `ClosedLoopAutoencoder.from_preset`.
        **overrides: entries to replace. `filters` of another number of stages
            take with them what the preset has for each stage, the last one
            repeated.

    Returns:
        Dict of the arguments of encoder and decoder.

    Raises:
        ValueError: for an unknown preset or entry.
        OSError: if it can't be downloaded.
    """
    return completed(find(preset).entries, **overrides)


def load(model_class, preset, load_weights=True, dtype=None, **overrides):
    """Makes an autoencoder from a preset.

    Nothing that a folder or a hub holds is run as code. Files must have
    the sizes that the architecture says, and the SHA-256 that
    `metadata.json` says.

    Args:
        preset: name of a trained model, `"csc_ctrl_digits"`, or of an
            architecture, `"digits"` (all names:
            `keras_csc.models.presets.names()`). Or a folder that
            `save_to_preset` wrote. Or the URI of such a folder on a hub:
            `"hf://OWNER/NAME[@REVISION]"` or
            `"kaggle://OWNER/MODEL/keras/VARIANT[/VERSION]"`.
        load_weights: bool, whether to load the weights. An architecture
            has none to load.
        dtype: of the model, by default Keras's.
        **overrides: arguments of the preset to replace: `image_shape`,
            `filters`, `feature_dim`, `sparsity`, `iterations`, ... The density
            of the features and the names of atoms are loaded only if all are
            the preset's.

    Raises:
        ValueError: for an unknown preset or argument, or a folder that
            is not complete, is damaged or holds something else.
        OSError: if a hub can't be reached, has no such model, or refuses.
        ImportError: for a URI, without the package's extra `hub`.
    """
    stored = find(preset)
    if load_weights and stored.folder is None:
        raise AdvisedError(
            f"The preset {preset!r} is an architecture without trained "
            f"weights. Train it with `keras-csc train --flagfile={preset}"
            ".flags --workdir=FOLDER` and give FOLDER/model, or choose a "
            f"trained one: {', '.join(trained_names())}.",
            "load_weights",
            "Or pass load_weights=False for first weights to train.",
        )
    entries = completed(stored.entries, **overrides)
    model = model_class(*players(entries, dtype=dtype), dtype=dtype)
    if not load_weights:
        model.make_weights()
        return model
    if hubs.is_uri(preset):
        path = hubs.download(preset, [folders.WEIGHTS_FILE])
        stored = stored._replace(folder=path)
    unchanged = completed(stored.entries)
    same = all(
        np.array_equal(unchanged[key], overrides[key]) for key in overrides
    )
    if same:
        folders.name_atoms(model, stored)
    folders.load_weights(model, stored, entries)
    if not same:
        model.density = None
    return model
