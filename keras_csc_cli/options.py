"""The flags of all commands but `train`, with their help texts.

Nothing here imports TensorFlow: mistakes are answered before that.
"""

import os
import pathlib
import re
import socket

from keras_csc_cli import missing
from keras_csc_cli.command_line import Command
from keras_csc_cli.command_line import UsageError

# What `evaluate` measures if it is asked for.
METRICS = {
    "images": "what is measured in any case, such as PSNR and retrieval.",
    "codes": "nearest subspace, kNN and a linear probe of every stage's codes.",
    "classes": "the share of regenerated images that a small classifier, which "
    "is trained on the data set's labels the first time, puts in the image's "
    "class.",
    "classifier": "Fréchet and kernel distance, precision, recall and class "
    "score, from features of the same classifier.",
    "samples": "the same of images that are made at random from the density of "
    "features, the share of them in the class that was asked for, and how far "
    "the nearest training image is; with pictures.",
    "inception": "as classifier, with Keras's InceptionV3, of "
    "--inception_weights.",
    "ctrl": "distance and score with the steps of CTRL's released code, also "
    "of --inception_weights.",
}
# Where each format of an export is written: to the folder of this flag.
FOLDERS = {
    "saved_model": "saved_models",
    "preset": "presets",
    "litert": "runtimes",
    "onnx": "runtimes",
    "openvino": "runtimes",
}
# What formats need, by the names that it is imported by.
PACKAGES = {
    "litert": ("ai_edge_litert",),
    "onnx": ("tf2onnx", "onnxruntime"),
    "openvino": ("openvino",),
}
# What serving/client.py takes, and a URL and a shell leave as they are.
SERVED_NAME = re.compile(r"[\w.-]+", re.ASCII)
TASKS = ("denoise", "inpaint", "deblur", "enlarge")


def _define_model(define):
    define.path("workdir", None, "Folder of the run that train.py made.")
    define.path(
        "preset",
        None,
        "Name, folder or URI of a trained model, instead of --workdir.",
    )


def check_model(options):
    """For anything but one of a finished run and a preset."""
    if options.workdir is None and options.preset is None:
        raise UsageError(
            "--workdir is missing. Give the folder of a run, or a trained "
            "--preset; one of the two."
        )
    if options.workdir is not None and options.preset is not None:
        raise UsageError(
            f"--workdir={options.workdir} and --preset={options.preset} are "
            "two models. Give one of the two."
        )
    if options.preset is not None:
        missing.check_preset(options.preset)
    else:
        missing.check_workdir(options.workdir)
        missing.check_trained(options.workdir)


def _define_data(define):
    define.string(
        "dataset",
        None,
        "Another data set than that of the training: a TFDS name, or "
        "image_folder, digits, photographs.",
    )
    define.path(
        "data_dir",
        None,
        "Folder of the data, if not as in training: of prepared TFDS data "
        "sets, or the image folder.",
    )
    define.enum(
        "split",
        "test",
        ["test", "validation", "train"],
        "Part of the data set. Of an image folder that is not divided into "
        "train, test and perhaps validation, a tenth of the images are for "
        "tests.",
    )


# === evaluate ===


def _define_evaluated(define):
    define.path("workdir", None, "Folder of the run.")
    _define_data(define)
    define.boolean(
        "checkpoint",
        False,
        "Evaluates the last checkpoint, not the trained model.",
    )
    define.boolean(
        "projector",
        False,
        "Writes the features, with thumbnails and labels, to "
        "tensorboard/projector/ of WORKDIR, for TensorBoard's projector.",
    )
    define.integer(
        "evaluation_limit",
        None,
        "Most images of a split that are used, if not as in training.",
        least=1,
        most=1_000_000,
        why="each is compared with each",
    )


def _define_metrics(define):
    texts = [f"{name}: {text}" for name, text in METRICS.items()]
    define.some(
        "metrics",
        None,
        METRICS,
        "What else to measure, separated by commas; by default what the run "
        f"was trained with. {' '.join(texts)}",
    )
    define.path(
        "inception_weights",
        None,
        "File of weights of Keras's InceptionV3 with its last layer, or "
        "imagenet: Keras's own, which Keras downloads the first time.",
    )
    define.path(
        "classifier",
        None,
        "File of the classifier, .keras; trained and written if it is not "
        "there. By default classifiers/DATASET_SHAPE.keras in WORKDIR; give a "
        "file of your own to share it among runs.",
    )


def _check_evaluate(options):
    if options.workdir is None:
        raise UsageError("--workdir is missing: the folder of a run.")
    missing.check_run(options.workdir)
    if not options.checkpoint:
        missing.check_trained(options.workdir)
    missing.check_images(options.dataset, options.data_dir)


EVALUATE = Command(
    """Evaluates a trained run again.

    python training/evaluate.py --workdir=runs/cifar10
    keras-csc evaluate --workdir=runs/cifar10

On the test split of the run's data set it writes WORKDIR/evaluation.json and
pictures beside it. On other data (--dataset, --data_dir), another --split, or
the last checkpoint (--checkpoint), also of a run that is not finished, it
writes WORKDIR/evaluation-NAME.json and pictures/evaluation-NAME/ instead; so it
does of fewer images (--evaluation_limit) or metrics than a file that is there,
which stays. What takes minutes is computed when --metrics asks for it.
""",
    ("workdir", "dataset", "data_dir", "split", "checkpoint"),
    {"What is evaluated": _define_evaluated, "Metrics": _define_metrics},
    _check_evaluate,
)


# === report ===


def _define_report(define):
    _define_model(define)
    define.path(
        "output",
        None,
        "File to write, .html. What is there is replaced if it is a report.",
    )
    _define_data(define)
    define.integer(
        "images",
        1000,
        "Most images that are passed through the model, drawn at random from "
        "the split.",
        least=1,
        most=100_000,
        why="all are held in memory",
    )


def _check_report(options):
    if options.workdir is not None and options.preset is None:
        missing.check_run(options.workdir)
    check_model(options)
    missing.check_images(options.dataset, options.data_dir)


REPORT = Command(
    """Makes one HTML page of what a model is and does.

    python training/report.py --workdir=runs/digits
    keras-csc report --preset=csc_ctrl_digits

The page is a file to send or to print: it needs no server and no network. Of a
run it is WORKDIR/report.html, of a preset NAME-report.html in the current
folder. It shows images of the data set of the training; where these are not at
hand, as of most presets, --dataset and --data_dir say where to find some, and
without them the page has the atoms and what else needs no images.
""",
    ("workdir", "preset", "output", "dataset", "data_dir", "split"),
    {"Report": _define_report},
    _check_report,
)


# === explore ===


def _define_explorer(define):
    define.path(
        "preset",
        "csc_ctrl_digits",
        "Name, folder or URI of a trained model, or folder of a run; the "
        "name of the flag may be left out.",
    )
    define.string(
        "dataset",
        None,
        "Data set whose test images are to choose from. By default that of "
        "the run, or images that come with the package.",
    )
    define.path("data_dir", None, "Folder of the data set, as of train.")
    define.integer(
        "port",
        None,
        "Port on this machine. By default the first free one from 7860 on.",
        least=1024,
        most=65535,
    )
    define.boolean("browser", True, "Opens the page in the browser.")


def _check_explore(options):
    missing.check_package("gradio", "the explorer", "explore")
    if options.port is not None:
        _check_port(options.port)
    if os.path.isfile(os.path.join(options.preset, "flags.json")):
        missing.check_trained(options.preset)
    else:
        missing.check_preset(options.preset)
    missing.check_images(options.dataset, options.data_dir)


def _check_port(port):
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise UsageError(
            f"--port={port} can't be used: {error.strerror}. Choose another, "
            "or leave it out."
        ) from error


EXPLORE = Command(
    """Opens a page on this machine to look inside a trained model.

    python training/explore.py csc_ctrl_digits
    keras-csc explore runs/digits

The model is the name of a trained one, a folder that save_to_preset wrote, the
folder of a run, or the URI of a hub. The page has an image's atoms and codes,
what becomes of it when these change, samples, and restored photographs. It
needs `pip install 'keras-csc[explore]'`, no network and no GPU, and only users
of this machine can open it. Ctrl-C ends it.
""",
    ("preset", "dataset", "data_dir"),
    {"Explorer": _define_explorer},
    _check_explore,
    unnamed="preset",
)


# === export ===


def _define_export(define):
    _define_model(define)
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
    for name, text in (
        ("presets", "exported presets: NAME/ is written to it."),
        ("saved_models", "exported models: NAME/VERSION/ is written to it."),
        ("runtimes", "models for other runtimes: NAME/FORMAT/ is written."),
    ):
        define.path(name, name, f"Folder of the {text}")
    define.string(
        "licence",
        None,
        "What the card says of licences: of the images that the model was "
        "trained on, and of its weights. By default what --preset says.",
    )
    define.list(
        "batch_sizes",
        "1,8,32",
        "Sizes of the batches that a server makes, separated by commas: there "
        "are warm-up requests of all. Nothing for no such requests.",
    )


def _check_export(options):
    check_model(options)
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


EXPORT = Command(
    """Exports a trained autoencoder as a SavedModel.

    python training/export.py --workdir=runs/digits
    keras-csc export --workdir=runs/digits

Writes saved_models/digits/VERSION/ from runs/digits/model/, with a card of
what the run recorded. Every export is a new version. --formats=preset writes
presets/digits/, a folder for from_preset and for hubs; --preset takes such a
folder, or the name of a trained model, in the place of a run.
--formats=litert,onnx,openvino writes runtimes/digits/FORMAT/.
""",
    ("workdir", "preset", "name", "formats", "saved_models"),
    {"Export": _define_export},
    _check_export,
)


# === restore ===


def _define_restored(define):
    define.enum("task", None, list(TASKS), "What to do.")
    define.path("image", None, "Image file, or folder of image files.")
    define.path("output", None, "File to write, or folder of files to write.")
    define.boolean("overwrite", False, "Replaces files that are there.")
    define.path(
        "dictionary",
        None,
        "File of a dictionary that keras_csc.restoration.save_dictionary "
        "wrote, for images of its channels. By default those that ship.",
    )


def _define_measured(define):
    define.float(
        "noise",
        None,
        "Standard deviation of the noise, in levels of 0..255, also for images "
        "of 16 bits. denoise needs it; by default 0 for inpaint, else 1.",
        least=0.0,
        most=255.0,
    )
    define.path(
        "mask",
        None,
        "For inpaint: image file of the size of the image, black where pixels "
        "are missing and white where they are known; or a folder of them, with "
        "the names of the images, and in subfolders as they are. By default "
        "pixels are missing where the image is transparent.",
    )
    define.path(
        "kernel",
        None,
        "For deblur: image file of what the blur makes of a point, or the "
        "standard deviation of a Gaussian blur in pixels.",
    )
    define.integer(
        "factor",
        None,
        "For enlarge: how many times as wide and high. By default 2.",
        least=2,
        most=8,
    )


def _check_restore(options):
    for name in ("task", "image", "output"):
        if getattr(options, name) is None:
            raise UsageError(f"--{name} is missing. --help says what it is.")
    needed = {"denoise": "noise", "deblur": "kernel"}.get(options.task)
    if needed and getattr(options, needed) is None:
        raise UsageError(f"--task={options.task} needs --{needed}.")
    if options.task == "denoise" and not options.noise:
        raise UsageError("--noise must be above 0 for --task=denoise.")
    flags_of = {"mask": "inpaint", "kernel": "deblur", "factor": "enlarge"}
    for name, task in flags_of.items():
        if getattr(options, name) is not None and options.task != task:
            raise UsageError(f"--{name} goes with --task={task}.")
    for name in ("image", "mask", "dictionary"):
        path = getattr(options, name)
        if path is not None and not os.path.exists(path):
            raise UsageError(f"--{name}={path} does not exist.")


RESTORE = Command(
    """Restores photographs by convolutional sparse coding.

    python training/restore.py --task=denoise --image=in.jpg --noise=25 \\
      --output=out.png
    keras-csc restore --task=inpaint --image=in.png --mask=mask.png \\
      --output=out.png

It reads PNG (8 and 16 bits), JPEG, TIFF, WebP, BMP and GIF, turns images as
their EXIF orientation says, and writes what the ending of --output says. A .png
file keeps alpha, 16 bits and the colour profile; of other formats it is said
what they do not keep. Of a folder of images every one is restored, into a
folder. What exists is not replaced without --overwrite.
""",
    ("task", "image", "output", "mask", "kernel", "factor", "noise"),
    {"Restoration": _define_restored, "What was measured": _define_measured},
    _check_restore,
)

COMMANDS = {
    "evaluate": EVALUATE,
    "explore": EXPLORE,
    "export": EXPORT,
    "report": REPORT,
    "restore": RESTORE,
}
