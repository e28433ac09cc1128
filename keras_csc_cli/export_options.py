"""The flags of `export.py`, with their help texts."""

import pathlib
import re

from keras_csc_cli import missing
from keras_csc_cli.command_line import UsageError

DESCRIPTION = """Exports a trained autoencoder as a SavedModel.

    python training/export.py --workdir=runs/digits
    keras-csc export --workdir=runs/digits

Writes saved_models/digits/VERSION/ from runs/digits/model/, with a card of
what the run recorded. Every export is a new version. --formats=preset writes
presets/digits/, a folder for from_preset and for hubs; --preset takes such a
folder, or the name of a trained model, in the place of a run.
--formats=litert,onnx,openvino writes runtimes/digits/FORMAT/.
"""

# Where each format is written to: to the folder that this flag names.
FOLDERS = {
    "saved_model": "saved_models",
    "preset": "presets",
    "litert": "runtimes",
    "onnx": "runtimes",
    "openvino": "runtimes",
}
# What they need, by the names that it is imported by.
PACKAGES = {
    "litert": ("ai_edge_litert",),
    "onnx": ("tf2onnx", "onnxruntime"),
    "openvino": ("openvino",),
}
# What serving/client.py takes, and a URL and a shell leave as they are.
SERVED_NAME = re.compile(r"[\w.-]+", re.ASCII)
FIRST = ("workdir", "preset", "name", "formats", "saved_models")


def _define_all(define):
    define.path("workdir", None, "Folder of the run that train.py made.")
    define.path(
        "preset",
        None,
        "Name, folder or URI of a trained model, instead of --workdir.",
    )
    define.string(
        "name",
        None,
        "Name of the model. By default the workdir's. That of a SavedModel is "
        "of letters, digits and _.-, as clients ask for it.",
    )
    define.some(
        "formats",
        "saved_model",
        FOLDERS,
        f"What to write, separated by commas: {', '.join(FOLDERS)}. The last "
        "three need pip install 'keras-csc[runtimes]'.",
    )
    define.path(
        "presets",
        "presets",
        "Folder of the exported presets: NAME/ is written to it.",
    )
    define.path(
        "saved_models",
        "saved_models",
        "Folder of the exported models: NAME/VERSION/ is written to it.",
    )
    define.path(
        "runtimes",
        "runtimes",
        "Folder of models for other runtimes: NAME/FORMAT/ is written to it.",
    )
    define.string(
        "licence",
        None,
        "What the card says of licences: of the images that the model was "
        "trained on, and of its weights. By default what --preset says.",
    )
    define.boolean(
        "strip_gradients",
        False,
        "Leave the gradients out of the SavedModel, a fifth of its graph.",
    )
    define.list(
        "batch_sizes",
        "1,8,32",
        "Sizes of the batches that a server makes, separated by commas: there "
        "are warm-up requests of all. Nothing for no such requests.",
    )


def check(options):
    """Raises `UsageError` for what is missing, and for names and formats."""
    missing.check_one(options.workdir, options.preset)
    if options.preset is None:
        missing.check_workdir(options.workdir)
        missing.check_trained(options.workdir)
    else:
        missing.check_preset(options.preset)
    formats = options.formats
    if not formats or len(set(formats)) < len(formats):
        raise UsageError(
            f"--formats must be some of {', '.join(FOLDERS)}, each once. "
            f"Received: {','.join(formats)!r}"
        )
    name = model_name(options.name, options.workdir, options.preset)
    if not name.isprintable() or re.fullmatch(r"|\..*|.*/.*|\d+", name):
        raise UsageError(
            "--name must be the name of a folder, printable, not hidden and "
            f"not a number. Received: {name!r}"
        )
    if "saved_model" in formats and not SERVED_NAME.fullmatch(name):
        raise UsageError(
            "the name of a SavedModel must be of letters, digits and _.-, as "
            "it is part of a URL. Give another with --name. Received: "
            f"{name!r}"
        )
    for runtime in formats:
        for module in PACKAGES.get(runtime, ()):
            missing.check_package(module, f"--formats={runtime}", "runtimes")


def model_name(name, workdir, preset):
    """What an exported model is called, by default as its run or preset."""
    if name is not None:
        return name
    if preset is not None:
        return missing.preset_name(preset)
    return pathlib.Path(workdir).resolve().name


SECTIONS = {"Export": _define_all}
