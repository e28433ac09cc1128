"""The flags of `train`, with their help texts."""

import os
import sys
import types

from keras_csc_cli import arguments
from keras_csc_cli import command_line
from keras_csc_cli import missing
from keras_csc_cli.command_line import Command
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.command_line import resolve_flag_files
from keras_csc_cli.missing import ARCHITECTURES

from absl import flags

# Flags of one run that may change when it is resumed: they do not change what
# is computed. (--save_every does with --keep_best, which measures then.)
MAY_CHANGE = frozenset(
    (
        "data_dir",
        "density_components",
        "download",
        "evaluation_limit",
        "log_every",
        "metrics",
        "save_every",
        "strategy",
        "workdir",
    )
)

# Data sets that come inside a library.
EMBEDDED = frozenset(("digits", "photographs"))
# Those that `--noresize` cuts into crops.
CUT = frozenset(("image_folder", "photographs"))

# Those that may differ between workers: not when all of them log.
MAY_DIFFER = MAY_CHANGE - {"log_every"}

MOST_STEPS = 10**9
# Options without which there is no run.
NEEDED = ("dataset", "preset", "steps")
# Those of `evaluate.py` that need nothing but the data.
METRICS = ("images", "classes", "classifier", "samples", "codes")
CHANGE = r"(flip|crop|shift:\d{1,4})"
BETA = r"(0|0?\.\d+)"


def _check(options):
    """Raises `UsageError` for what is missing."""
    if options.workdir is None and not command_line.flag_file_name(sys.argv):
        raise UsageError(
            "--workdir is missing. Give it, or a --flagfile to name it."
        )
    for name in NEEDED:
        if getattr(options, name) is None:
            raise UsageError(
                f"--{name} is missing. Give it, or a --flagfile that does."
            )
    missing.check_preset(options.preset)
    missing.check_images(options.dataset, options.data_dir)


def parse(given):
    """Options of a list of arguments such as `["--dataset=digits"]`."""
    flag_values = flags.FlagValues()
    command_line.define(SECTIONS, flag_values)
    try:
        flag_values(["train", *resolve_flag_files(given)])
    except flags.Error as error:
        raise UsageError(str(error)) from error
    return command_line.values(SECTIONS, flag_values)


def restored(recorded, path):
    """Options of a dict that `flags.json` holds, parsed as flags are.

    Options that there were not yet when it was written have their defaults.

    Args:
        recorded: the dict.
        path: of the file, for the message.

    Raises:
        UsageError: for a value that no flag can have, or an option that there
            is not: to pass it over would be a wrong answer in silence.
    """
    known = vars(parse([]))
    unknown = sorted(set(recorded) - set(known))
    if unknown:
        raise UsageError(
            f"{path} is of another version of keras_csc: it has "
            f"{', '.join(unknown)[:200]}, which this one does not know. Use "
            "that version, or choose another folder with --workdir."
        )
    try:
        return parse(
            [
                f"--{name}={_text(value)}"
                for name, value in recorded.items()
                if value is not None and value != known[name]
            ]
        )
    except UsageError as error:
        raise UsageError(
            f"{path} is damaged: {str(error).rstrip('.')}. Choose another "
            "folder with --workdir."
        ) from error


def _text(value):
    """What JSON holds, as a flag has it."""
    if isinstance(value, dict):
        return arguments.text_of(value)
    return ",".join(map(str, value)) if isinstance(value, list) else value


def replaced(options, entries):
    """A copy of options with other values of some.

    Images of another data set are resized if it can't be cut into crops.
    """
    found = types.SimpleNamespace(**{**vars(options), **entries})
    if "dataset" in entries and found.dataset not in CUT:
        found.resize = True
    return found


def as_recorded(options):
    """A dict of options, as a run's folder keeps them."""
    return {**vars(options), "data_dir": absolute(options.data_dir)}


def absolute(folder):
    """The absolute path of a folder of data, wherever one looks from later.

    Args:
        folder: str or `None`. With a scheme, as `gs://`, it stays.
    """
    if folder is None or "://" in folder:
        return folder
    return os.path.abspath(folder)


def _define_run(define):
    define.path(
        "workdir",
        None,
        "Folder of this run: checkpoints, logs, pictures, the trained model. "
        "By default runs/NAME, NAME being that of the flag file.",
    )
    define.integer(
        "seed", 0, "Seed of weights and data order.", least=0, most=2**32 - 1
    )
    define.integer(
        "steps", None, "Steps of training, batches.", least=1, most=MOST_STEPS
    )
    define.enum(
        "strategy",
        "none",
        ["none", "mirrored", "multi_worker"],
        "Distribution: one device, all devices of this machine, or those of "
        "all the workers that the environment variable TF_CONFIG names.",
    )
    define.enum(
        "dtype_policy",
        "auto",
        ["auto", "float32", "mixed_bfloat16", "float64"],
        "Keras dtype policy of the networks. auto is mixed_bfloat16 where the "
        "GPUs, or without any the processor, have instructions for bfloat16, "
        "else float32; a run that goes on keeps its own. Log-determinants are "
        "always computed in float32 or better.",
    )
    define.boolean(
        "deterministic",
        False,
        "Makes every operation deterministic: runs are equal to the bit.",
    )
    define.integer("log_every", 50, "Steps between logs.", least=1)
    define.integer(
        "save_every",
        1000,
        "Steps between pictures, and between checkpoints, which are also "
        "written every two minutes.",
        least=1,
    )
    define.enum(
        "keep_best",
        None,
        ["psnr", "ssim", "cosine"],
        "Metric of the first training images that are held out for validation. "
        "It is measured every save_every steps, and the trained model is the "
        "one at which it was highest. By default it is the last.",
    )
    define.some(
        "metrics",
        "images",
        METRICS,
        "What to evaluate at the end, on the test split, separated by commas: "
        f"{', '.join(METRICS)}. images are measured with any of the others, "
        "which take minutes for large data; evaluate.py --help says what they "
        "are. Nothing for no evaluation.",
    )
    define.integer(
        "evaluation_limit",
        10_000,
        "Most images of a split that are used in an evaluation.",
        least=1,
        most=1_000_000,
        why="each is compared with each",
    )
    define.integer(
        "density_components",
        1,
        "Gaussians of every class, or of all images without labels, in the "
        "density that samples are drawn from: it is fitted to the features of "
        "--evaluation_limit training images and saved with the model.",
        least=1,
        most=1000,
        why="each has a covariance of all features",
    )


def _define_data(define):
    define.string(
        "dataset",
        None,
        "Name of a TFDS data set, or image_folder, digits, photographs.",
    )
    define.path(
        "data_dir",
        None,
        "Folder of prepared TFDS data sets (by default TFDS's own), or the "
        "image folder.",
    )
    define.boolean(
        "download",
        False,
        "Whether to let TFDS download and prepare a missing data set.",
    )
    define.float(
        "validation_fraction",
        0.05,
        "Part of the training images that is left out of training, for "
        "validation. An image_folder with folders train, validation (or val) "
        "and test leaves none out.",
        least=0.0,
        most=0.5,
    )
    define.pattern(
        "augment",
        "",
        f"({CHANGE}(,{CHANGE})*)?",
        "flip,shift:N,crop",
        "flip,shift:2",
        "How training images are changed at random, separated by commas: flip "
        "mirrors half of them, shift:N moves them by up to N pixels, crop cuts "
        "them at random places, not from the centre. Nothing for no changes.",
    )
    define.boolean(
        "resize",
        True,
        "Shrinks images to cover what the model takes. Without it an "
        "image_folder is cut into crops of that size, as many as fit.",
    )


def _define_model(define):
    define.path(
        "preset",
        None,
        f"Architecture: {', '.join(ARCHITECTURES)}. Or a trained model, whose "
        "weights are the first ones: of ours (csc_ctrl_digits, ...), a folder "
        "that save_to_preset wrote, or one on a hub (hf://OWNER/NAME, "
        "kaggle://OWNER/MODEL/keras/VARIANT).",
    )
    define.arguments(
        "architecture",
        architecture_arguments(),
        "What of the preset's architecture to replace, as "
        "filters=64,128,sparsity=0.1. Given again, it adds to what was given "
        "before.",
    )
    define.pattern(
        "first_atoms",
        "random",
        r"random|(principal|patches):[1-9]\d{0,5}",
        "random|principal:N|patches:N",
        "principal:4096",
        "The first atoms: random, the principal components of N training "
        "images, or, in the first stage, random patches of N training images. "
        "N is some thousand; below a million, as the images are in memory.",
    )
    define.boolean(
        "freeze_normalizations",
        False,
        "Keeps the statistics, scales and offsets of all normalisations, in "
        "fine-tuning: those of few or other images would undo what the "
        "weights of --preset know.",
    )


def architecture_arguments():
    """The arguments of `--architecture`."""
    return {
        "network": ("csc", '`"csc"` or `"conv"`, the baseline.'),
        **arguments.of_class("models/encoder.py", "Encoder", ("image_shape",)),
        **arguments.of_class("models/decoder.py", "Decoder", ("encoder",)),
    }


def _define_game(define):
    define.arguments(
        "game",
        game_arguments(),
        "What encoder and decoder play for, as class_rate=10,memory=0.95. "
        "Given again, it adds to what was given before.",
    )


def game_arguments():
    """The arguments of `--game`: which game, and those of both."""
    found = {
        "objective": (
            "recipe",
            '`"recipe"`; or as published, `"binary"` or `"multi"`.',
        )
    }
    for file, name in (
        ("transcription.py", "TranscriptionGame"),
        ("recipe.py", "RecipeGame"),
    ):
        without = "num_classes", "objective"
        found |= arguments.of_class(f"losses/{file}", name, without)
    return found


def _define_optimization(define):
    define.integer(
        "batch_size",
        256,
        "Images in a step.",
        least=1,
        most=2**20,
        why="a step holds all codes of its images in memory",
    )
    define.pattern(
        "optimizer",
        "adam:0.5,0.999",
        f"(adam|muon)(:{BETA},{BETA})?",
        "adam|muon[:X,X]",
        "adam:0,0.9",
        "adam; or muon: orthogonal steps of the dictionaries, and Adam at 0.3 "
        "times the rate for the rest. After a colon may be Adam's two betas, "
        "which are otherwise 0.5 and 0.999.",
    )
    define.numbers(
        "learning_rate",
        "1.5e-4",
        "The highest rate. Of one number, one pass moves all weights. Of two, "
        "steps alternate, as published: the encoder's, at the first rate, then "
        "the decoder's against the new encoder, at the second.",
        least=0.0,
        most=1e3,
    )
    define.enum(
        "schedule",
        "constant",
        ["constant", "linear", "cosine"],
        "How the learning rates fall to 0 at the last step.",
    )


SECTIONS = {
    "Data": _define_data,
    "Model": _define_model,
    "Game": _define_game,
    "Optimisation": _define_optimization,
    "Run, logs and checkpoints": _define_run,
}
COMMANDS = {
    "train": Command(
        """Trains a CSC-CTRL autoencoder.

    python training/train.py --flagfile=cifar10.flags --data_dir=DATA
    keras-csc train --flagfile=cifar10.flags --data_dir=DATA

Writes to --workdir: checkpoints/, log.jsonl, run.json, tensorboard/, pictures/,
and at the end model/ (a preset folder) and evaluation.json. Run the same
command again to go on from the last checkpoint.
""",
        (
            *("workdir", "dataset", "data_dir", "preset", "steps"),
            *("batch_size", "strategy", "keep_best"),
        ),
        SECTIONS,
        _check,
        flag_files="A file of flags, one a line; flags after it override it. "
        "A bare name may also be one of ours: digits.flags, cifar10.flags, ...",
    )
}
