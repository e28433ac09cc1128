"""The commands, and the flags of all but `train`, with their help texts.

Nothing here imports TensorFlow: mistakes are answered before that.
"""

import os
import pathlib

from keras_csc_cli import checked_flags as kinds
from keras_csc_cli import picture_options
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.train_options import METRICS
from keras_csc_cli.train_options import TRAIN

from absl import flags

Enum, Integer = flags.EnumParser, flags.IntegerParser

# The folder that each format of an export is written to.
FOLDERS = {
    "saved_model": "saved_models",
    "preset": "presets",
}

# Flags of several commands.
WORKDIR = "workdir: Folder of the run that train.py made."
PRESET = """preset: Name, folder or URI of a trained model, in the place of
        --workdir."""
DATA = """dataset: Another data set than that of the training: a TFDS name, or
        image_folder, digits, photographs.
    data_dir: Folder of the data, if not as in training: of prepared TFDS data
        sets, or the image folder."""
SPLIT = """split: Part of the data set. Of an image folder that is not divided
        into train, test and perhaps validation, a tenth of the images are for
        tests."""
OPEN = {
    "workdir": (None, kinds.PATH),
    "preset": (None, kinds.PATH),
    "dataset": (None, kinds.TEXT),
    "data_dir": (None, kinds.FOLDER),
    "split": ("test", Enum(["test", "validation", "train"])),
}


def is_run(path):
    """Whether a path is the folder of a run."""
    return os.path.isfile(os.path.join(path, "flags.json"))


def name_of(workdir, preset):
    """What a model is called: as its preset, or the folder of its run."""
    if preset is not None:
        return str(preset).rstrip("/").rpartition("/")[2]
    return pathlib.Path(workdir).resolve().name


def _check_evaluate(options):
    """Raises `UsageError` if other figures would replace those of a run."""
    if options.checkpoint and options.preset is not None:
        raise UsageError("--checkpoint is of a run: leave --preset out.")
    names = "preset", "dataset", "data_dir", "evaluation_limit", "checkpoint"
    given = [name for name in names if getattr(options, name)]
    given += ["split"] * (options.split != "test")
    if given and options.output is None:
        raise UsageError(
            f"--{given[0]} needs --output, a new folder: the evaluation of a "
            "run is of its trained model and its own test images."
        )


EVALUATE = kinds.Command(
    "evaluate.main",
    f"""Evaluates a trained model.

    keras-csc evaluate --workdir=runs/cifar10
    keras-csc evaluate --preset=csc_ctrl_digits --output=evaluations/digits

Of a run it replaces WORKDIR/evaluation.json and pictures in WORKDIR/pictures/.
Of a preset, and of a run with other images (--dataset, --data_dir, --split,
--evaluation_limit) or its last checkpoint (--checkpoint), it writes the same
into a new folder, --output. --metrics asks for figures that take minutes.

Evaluation:
    {WORKDIR}
    {PRESET}
    output: Folder to write, which must not exist.
    {DATA}
    {SPLIT}
    checkpoint: Evaluates the last checkpoint, not the trained model.
    evaluation_limit: Most images of a split that are used, by default 10,000.
Metrics:
    metrics: What to measure, separated by commas; by default as in training.
        images: PSNR and the like, in any case. codes: how few codes of every
        stage are not 0. classes: how many regenerated images a classifier,
        which is trained on the data set the first time, puts in the image's
        class. classifier: Fréchet distance, precision and recall
        from its features. samples: the same of images that are made at random.
""",
    ["workdir|preset"],
    _check_evaluate,
    **OPEN,
    output=(None, kinds.PATH),
    checkpoint=False,
    evaluation_limit=(None, Integer(1, 100_000)),
    metrics=(None, kinds.choices(METRICS)),
)
REPORT = kinds.Command(
    "pages.report",
    f"""Makes one HTML page of what a model is and does.

    keras-csc report --workdir=runs/digits
    keras-csc report --preset=csc_ctrl_digits

The page is a file to send or to print: it needs no server and no network. Of a
run it is WORKDIR/report.html, of a preset NAME-report.html in the current
folder. It shows images of the data set of the training, or of --dataset and
--data_dir; where none are at hand, the atoms and all else that needs no images.

Report:
    {WORKDIR}
    {PRESET}
    output: File to write, .html. A report that is there is replaced.
    {DATA}
    {SPLIT}
    images: Most images that are passed through the model, drawn at random from
        the split, and held in memory.
""",
    ["workdir|preset"],
    **OPEN,
    output=(None, kinds.file(".html", ".htm")),
    images=(1000, Integer(1, 100_000)),
)
EXPLORE = kinds.Command(
    "pages.explore",
    """Opens a page on this machine to look inside a trained model.

    keras-csc explore csc_ctrl_digits
    keras-csc explore runs/digits

The page has an image's atoms and codes, the image when these change, and
samples. It needs `pip install '.[explore]'` in a copy of the repository, no
network and no GPU, and only users of this machine can open it. Ctrl-C ends it.

Explorer:
    preset: Name, folder or URI of a trained model, or folder of a run.
        `--preset=` may be left out.
    dataset: Data set whose test images are to choose from. By default that of
        the run, or images that come with the package.
    data_dir: Folder of the data set, as of train.
    port: Port on this machine. By default the first free one from 7860 on.
""",
    unnamed="preset",
    preset=("csc_ctrl_digits", kinds.PATH),
    dataset=(None, kinds.TEXT),
    data_dir=(None, kinds.FOLDER),
    port=(None, Integer(1024, 65535)),
)
EXPORT = kinds.Command(
    "export.main",
    f"""Exports a trained model as a SavedModel.

    keras-csc export --workdir=runs/digits

Writes saved_models/digits/VERSION/ from runs/digits/model/, with a card of
what the run recorded. Every export is a new version. --formats=preset writes
presets/digits/, a folder for from_preset and for hubs; --preset takes such a
folder, or the name of a trained model, in the place of a run.

Export:
    {WORKDIR}
    {PRESET}
    name: Name of the model. By default the workdir's. That of a SavedModel is
        of letters, digits and _.-, as clients ask for it.
    formats: {", ".join(FOLDERS)}, separated by commas.
    output: Folder that saved_models/ and the like are written to.
    licence: Licences for the card, of the images that the model was trained on
        and of its weights. By default those of --preset.
    batch_sizes: Sizes of the batches that a server makes, separated by commas:
        there are warm-up requests of all. Nothing for no such requests.
""",
    ["workdir|preset"],
    **OPEN,
    name=(None, kinds.TEXT),
    formats=("saved_model", kinds.choices(FOLDERS)),
    output=(".", kinds.PATH),
    licence=(None, kinds.TEXT),
    batch_sizes=(
        "1,8,32",
        kinds.pattern(r"(\d{1,9}(,\d{1,9})*)?", "N,N,...", "1,8,32"),
    ),
)
COMMANDS = {
    "train": TRAIN,
    "train-denoiser": picture_options.DENOISER,
    "evaluate": EVALUATE,
    "export": EXPORT,
    "report": REPORT,
    "explore": EXPLORE,
    "restore": picture_options.RESTORE,
    "sort": picture_options.SORT,
    "embed": picture_options.EMBED,
    "search": picture_options.SEARCH,
}
