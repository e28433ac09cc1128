"""The flags of `export.py`, with their help texts."""

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


SECTIONS = {"Export": _define_all}
