"""What a command needs and has not, found before TensorFlow is imported.

Each `check_` raises `UsageError` for what its name says.
"""

import difflib
import importlib.util
import os
import pathlib

from keras_csc_cli.arguments import ROOT
from keras_csc_cli.command_line import FLAG_FILES
from keras_csc_cli.command_line import UsageError

SHARED = ("recipe", "published", "fine_tune")  # flag files of no data set
# Names of presets: of architectures, and of trained models.
ARCHITECTURES = sorted(
    path.stem
    for path in FLAG_FILES.glob("*.flags")
    if path.stem not in SHARED and not path.stem.endswith("_published")
)
TRAINED = [
    path.parent.name
    # In an installed package, and in the repository.
    for folder in (ROOT / "trained", ROOT.parent / "trained")
    for path in folder.glob("*/config.json")
]
PRESETS = sorted([*ARCHITECTURES, *TRAINED])
# Of the URIs of presets: the package that reads them.
HUBS = {"hf": "huggingface_hub", "kaggle": "kagglehub"}


def check_package(module, what, extra):
    """For a package that `what` needs, and that an `extra` of ours has."""
    if importlib.util.find_spec(module) is None:
        raise UsageError(
            f"{what} needs {module}: pip install 'keras-csc[{extra}]'."
        )


def checked_path(path):
    """A `pathlib.Path` of what `--workdir` names."""
    text = str(path)
    if not text.strip():
        raise UsageError(
            "--workdir is empty. Give the folder of the run, or leave the "
            "flag out where a --flagfile names it."
        )
    if "://" in text:
        raise UsageError(
            f"--workdir must be a folder of this machine. Received: {text}"
        )
    if text != text.encode(errors="ignore").decode():
        raise UsageError(
            f"--workdir must be a name in UTF-8. Received: {text!r}"
        )
    path = pathlib.Path(text)
    if path.exists() and not path.is_dir():
        raise UsageError(
            f"the working directory {path} is not a folder. Choose another "
            "with --workdir."
        )
    return path


def check_run(path):
    """For what is not the folder of a run."""
    path = checked_path(path)
    check_workdir(path)
    if not os.path.lexists(path / "flags.json"):
        raise UsageError(
            f"{path} is not the folder of a run: it has no flags.json. Give "
            "the folder of a training."
        )


def check_workdir(path):
    """For a folder that is not there."""
    if not checked_path(path).is_dir():
        raise UsageError(
            f"there is no working directory {path}. Give the folder of a run "
            "with --workdir."
        )


def check_trained(path):
    """For the folder of a run that is not finished."""
    if not (pathlib.Path(path) / "model").is_dir():
        raise UsageError(
            f"{path} has no trained model (model/). Train it to its last "
            "step first. A checkpoint can be evaluated with --checkpoint, not "
            "exported."
        )


def check_preset(preset):
    """For a name, folder or URI of no preset."""
    scheme, separator, _ = preset.partition("://")
    if separator:
        if scheme in HUBS:
            check_package(HUBS[scheme], f"--preset={preset}", "hub")
        return
    if preset in PRESETS or os.path.isdir(preset):
        return
    close = difflib.get_close_matches(preset, PRESETS, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise UsageError(
        f"--preset={preset} is neither a folder, nor a URI such as "
        f"hf://OWNER/NAME, nor one of {', '.join(PRESETS)}.{hint}"
    )


def preset_name(preset):
    """The last part of a preset's name, folder or URI."""
    return str(preset).rstrip("/").rpartition("/")[2]


def check_images(dataset, data_dir):
    """For a folder of images that is not there."""
    given = data_dir is not None
    if dataset == "image_folder" and given and not os.path.isdir(data_dir):
        raise UsageError(
            f"--data_dir={data_dir} is no folder. Give a folder of images."
        )
