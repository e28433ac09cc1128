"""Presets of autoencoders: architectures by name, and trained models.

If a model has them, its `config.json` holds the configuration of its density
and the names of its atoms beside the architecture.
"""

import keras
import numpy as np

from keras_csc.models.architecture import kernel_numbers
from keras_csc.models.decoder import Decoder
from keras_csc.models.encoder import Encoder
from keras_csc.models.presets.architectures import DEFAULTS
from keras_csc.models.presets.architectures import PRESETS
from keras_csc.models.presets.architectures import arguments_of
from keras_csc.models.presets.architectures import completed
from keras_csc.models.presets.architectures import model_config
from keras_csc.models.presets.architectures import players
from keras_csc.presets import FILES
from keras_csc.presets import TRAINED
from keras_csc.presets import folder as folders
from keras_csc.presets import hubs
from keras_csc.presets import places
from keras_csc.validation import shown

DENSITY, ATOM_NAMES = "density", "atom_names"
AUTOENCODER = "keras_csc>ClosedLoopAutoencoder"


def names():
    """Names of the presets, of architectures and of trained models."""
    return sorted([*PRESETS, *trained_names()])


def trained_names():
    """Names of the trained models that come with the package."""
    return places.trained_names(_autoencoder())


def _autoencoder():
    return keras.saving.get_registered_object(AUTOENCODER)


def has_weights(preset):
    """Whether `preset` names trained weights, not an architecture alone."""
    if str(preset) in PRESETS:
        return False
    return hubs.is_uri(preset) or places.folder_of(preset) is not None


def find(preset):
    """Looks up all that a preset says, but for its weights.

    Returns:
        `folder.Preset`; that of an architecture alone has no folder.

    Raises:
        As `ClosedLoopAutoencoder.from_preset`.
    """
    if str(preset) in PRESETS:
        return folders.Preset(None, None, PRESETS[str(preset)], {})
    return places.find(preset, _autoencoder(), names())


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
    return completed(_entries(find(preset)), **overrides)


def _entries(stored):
    """The entries of the architecture."""
    others = DENSITY, ATOM_NAMES
    return {n: v for n, v in stored.config.items() if n not in others}


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
        raise ValueError(
            f"The preset {preset!r} is an architecture without trained "
            f"weights. Train it with `keras-csc train --flagfile={preset}"
            ".flags --workdir=FOLDER` and give FOLDER/model, or choose a "
            f"trained one: {', '.join(trained_names())}. "
            "Or pass load_weights=False for first weights to train."
        )
    entries = completed(_entries(stored), **overrides)
    model = model_class(*players(entries, dtype=dtype), dtype=dtype)
    if not load_weights:
        model.make_weights()
        return model
    unchanged = completed(_entries(stored))
    same = all(
        np.array_equal(unchanged[key], overrides[key]) for key in overrides
    )
    if same:
        _name_atoms(model, stored)
    least = 2 * kernel_numbers(**entries)  # in float16
    stored = places.with_weights(preset, stored)
    folders.load_weights(model, stored, least)
    density = model.density and model.density.get_config()
    if density != stored.config.get(DENSITY):
        path = stored.folder / folders.WEIGHTS_FILE
        raise folders.misfit(path, f"its density is {shown(density)}")
    if not same:
        model.density = None
    return model


def _name_atoms(model, stored):
    try:
        for stage, atom, name in stored.config.get(ATOM_NAMES, ()):
            model.name_atom(stage, atom, name)
    except (TypeError, ValueError) as error:
        path = stored.folder / folders.CONFIG_FILE
        raise folders.misfit(path, f"{ATOM_NAMES}: {error}") from error


def preset_config(model):
    """What `config.json` says of an autoencoder.

    Raises:
        ValueError: for an encoder or decoder of a class of your own.
    """
    classes = type(model.encoder), type(model.decoder)
    if classes != (Encoder, Decoder):
        raise ValueError(
            "A preset must be of an `Encoder` and a `Decoder`. Received: "
            f"{classes[0].__name__} and {classes[1].__name__}. Keep classes of "
            'your own with `model.save("NAME.keras")`.'
        )
    config = model_config(model)
    if model.density is not None:
        config[DENSITY] = model.density.get_config()
    if model.atom_names:
        config[ATOM_NAMES] = model.get_config()[ATOM_NAMES]
    return config


def without_training(model):
    """An autoencoder of the same networks, not compiled, with its density."""
    alone = type(model)(model.encoder, model.decoder, density=model.density)
    alone.make_weights()
    return alone
