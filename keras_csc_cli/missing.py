"""What a command needs and has not, told before TensorFlow is imported."""

import difflib
import importlib.util
import os

from keras_csc_cli.checked_flags import ROOT
from keras_csc_cli.command_line import FLAG_FILES
from keras_csc_cli.command_line import UsageError

# Flag files of no data set; the others are named as their architectures.
SHARED = ("recipe", "published", "fine_tune")
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
# By extra, the modules that it has for what is given.
EXTRAS = {
    "hub": {"hf": "huggingface_hub", "kaggle": "kagglehub"},
    "explore": {"the explorer": "gradio"},
    "runtimes": {
        "litert": "ai_edge_litert",
        "onnx": "tf2onnx",
        "openvino": "openvino",
    },
}


def check_extra(extra, name, what):
    """Raises a `UsageError` without the package that `what` needs."""
    module = EXTRAS[extra].get(name)
    if module and importlib.util.find_spec(module) is None:
        raise UsageError(
            f"{what} needs the package {module}: pip install "
            f"'keras-csc[{extra}]'."
        )


def check_run(workdir):
    """Raises a `UsageError` for what is not the folder of a run."""
    if not os.path.isdir(workdir):
        raise UsageError(
            f"--workdir={workdir} is not there, or not a folder. Give the "
            "folder of a run."
        )
    if not os.path.lexists(os.path.join(workdir, "flags.json")):
        raise UsageError(
            f"{workdir} is not the folder of a run: it has no flags.json. Give "
            "the folder of a training."
        )


def check_preset(preset):
    """Raises a `UsageError` for a name, folder or URI of no preset."""
    scheme, separator, _ = preset.partition("://")
    if separator:
        check_extra("hub", scheme, f"--preset={preset}")
        return
    names = sorted([*ARCHITECTURES, *TRAINED])
    if preset in names or os.path.isdir(preset):
        return
    close = difflib.get_close_matches(preset, names, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise UsageError(
        f"--preset={preset} is neither a folder, nor a URI such as "
        f"hf://OWNER/NAME, nor one of {', '.join(names)}.{hint}"
    )


def check_images(options):
    """Raises a `UsageError` for a folder of images that is not there."""
    folder = options.data_dir
    if options.dataset == "image_folder" and folder is not None:
        if not os.path.isdir(folder):
            raise UsageError(
                f"--data_dir={folder} is no folder. Give a folder of images."
            )
