"""Where presets are: in the package, in folders, on hubs."""

import difflib
import json
import pathlib

import keras

from keras_csc.presets import folder as folders
from keras_csc.presets import hubs
from keras_csc.validation import shown

PACKAGE = pathlib.Path(__file__).parents[1]
TRAINED = PACKAGE / "trained"
if not TRAINED.is_dir():  # in the repository, and not in an installed package
    TRAINED = PACKAGE.parent / "trained"


def trained_names(model_class=None):
    """Names of the trained models of a class, or of all, in the package."""
    kinds = {
        path.parent.name: json.loads(path.read_text())[folders.NAME]
        for path in TRAINED.glob(f"*/{folders.CONFIG_FILE}")
    }
    wanted = {*kinds.values()}
    if model_class:
        wanted = {keras.saving.get_registered_name(model_class)}
    return sorted(name for name, kind in kinds.items() if kind in wanted)


def folder_of(preset):
    """The folder of trained weights on this machine, or `None`."""
    path = pathlib.Path(preset)
    shipped = TRAINED / path
    if shipped.parent == TRAINED and shipped.is_dir():
        return shipped
    return path if path.is_dir() else None


def find(preset, model_class, names):
    """Looks up all that a preset says, but for its weights.

    Args:
        preset: name, folder or URI.
        model_class: the class that it has to be of.
        names: list of str, to suggest where there is no such preset.

    Returns:
        `folder.Preset`.

    Raises:
        ValueError: for an unknown preset, or a folder that is not complete, is
            damaged or holds something else.
        OSError: if a hub can't be reached, has no such model, or refuses.
        ImportError: for a URI, without the package's extra `hub`.
    """
    if hubs.is_uri(preset):
        files = (folders.CONFIG_FILE, folders.METADATA_FILE)
        path = hubs.download(preset, files)
    elif path := folder_of(preset):
        folders.check_others(path)
    else:
        close = difflib.get_close_matches(str(preset), names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(
            f"Unknown preset {shown(preset)}: neither a folder, nor a URI such "
            f"as hf://OWNER/NAME, nor one of {', '.join(names)}.{hint}"
        )
    return folders.read(path, model_class)


def with_weights(preset, stored):
    """A `folder.Preset` whose folder has the weights, too."""
    if not hubs.is_uri(preset):
        return stored
    path = hubs.download(preset, [folders.WEIGHTS_FILE])
    return stored._replace(folder=path)
