"""The flags of the training scripts, with their help texts."""

import types

from keras_csc_cli import checked_flags as flags
from keras_csc_cli.command_line import FLAG_FILES as FOLDER
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.command_line import resolve_flag_files

DESCRIPTION = """Trains a CSC-CTRL autoencoder.

    python training/train.py --flagfile=cifar10.flags --data_dir=DATA
    keras-csc train --flagfile=cifar10.flags --data_dir=DATA

Writes to --workdir: checkpoints/, log.jsonl, tensorboard/, pictures/, and at
the end model/ (a preset folder), run.json and evaluation.json. Run the same
command again to go on from the last checkpoint.
"""

# Flags of one run that may change when it is resumed: they do not change what
# is computed.
MAY_CHANGE = frozenset(
    (
        "cache_mib",
        "checkpoint_every",
        "checkpoint_minutes",
        "data_dir",
        "download",
        "evaluate",
        "evaluation_limit",
        "gradient_norms",
        "log_every",
        "metrics",
        "pictures_every",
        "strategy",
        "workdir",
    )
)


# What absl calls flags of several values.
LISTS = ("numbers", "comma separated list of strings")

# What a newcomer needs, in the order in which `--help` shows it.
FIRST = (
    "workdir",
    "dataset",
    "data_dir",
    "preset",
    "steps",
    "batch_size",
    "strategy",
    "keep_best",
)
FLAG_FILES = (
    "A file of flags, one a line; flags after it override it. A bare name is "
    "also looked up in training/flags/: digits.flags, cifar10.flags, ..."
)
PRESETS = sorted(
    path.stem
    for path in FOLDER.glob("*.flags")
    if not path.stem.endswith("_published") and path.stem != "recipe"
)
MOST_STEPS = 10**9
MOST_STAGES = 12


def define(flag_values):
    """Defines every flag of `train.py` on `flag_values`."""
    for definition in sections().values():
        definition(flag_values)


def sections():
    """Functions that define flags, by what these are about."""
    return {
        "Data": _define_data,
        "Model": _define_model,
        "Game": _define_game,
        "Optimisation": _define_optimization,
        "Run, logs and checkpoints": _define_run,
    }


def values(flag_values):
    """The flags that `define` defined, as a namespace."""
    names = flags.FlagValues()
    define(names)
    return types.SimpleNamespace(
        **{name: flag_values[name].value for name in names}
    )


def parse(arguments):
    """Options of a list of arguments such as `["--dataset=digits"]`."""
    flag_values = flags.FlagValues()
    define(flag_values)
    try:
        flag_values(["train", *resolve_flag_files(arguments)])
    except flags.Error as error:
        raise UsageError(str(error)) from error
    return values(flag_values)


def restored(recorded, path):
    """Options of a dict that `flags.json` holds, checked like flags.

    Options that there were not yet when it was written have their defaults.

    Args:
        recorded: the dict.
        path: of the file, for the message.

    Raises:
        UsageError: for a value that no flag can have.
    """
    flag_values = flags.FlagValues()
    define(flag_values)
    for name in flag_values:
        value, flag = recorded.get(name), flag_values[name]
        if value is None:
            continue
        try:
            if isinstance(value, bool) != flag.boolean:
                raise ValueError("it is no value of this flag")
            if isinstance(value, list) != (flag.flag_type() in LISTS):
                raise ValueError("it is no value of this flag")
            if isinstance(value, list):
                value = ",".join(map(str, value))
            flag.value = flag.parser.parse(value)
        except (AttributeError, TypeError, ValueError) as error:
            raise UsageError(
                f"{path} is damaged: the option {name} is {value!r:.40}, which "
                f"it can't be ({error}). Choose another folder with --workdir."
            ) from error
    return values(flag_values)


def flag_of(name):
    """The absl flag of that name."""
    flag_values = flags.FlagValues()
    define(flag_values)
    return flag_values[name]


def replaced(options, entries):
    """A copy of options with other values of some."""
    return types.SimpleNamespace(**{**vars(options), **entries})


def _define_run(flag_values):
    kwargs = {"flag_values": flag_values}
    flags.DEFINE_string(
        "workdir",
        None,
        "Folder of this run: checkpoints, logs, pictures, the trained model. "
        "By default runs/NAME, NAME being that of the flag file.",
        **kwargs,
    )
    flags.DEFINE_integer(
        "seed",
        0,
        "Seed of weights and data order.",
        lower_bound=0,
        upper_bound=2**32 - 1,
        **kwargs,
    )
    flags.DEFINE_integer(
        "steps",
        None,
        "Steps of training, batches.",
        lower_bound=1,
        upper_bound=MOST_STEPS,
        **kwargs,
    )
    flags.DEFINE_enum(
        "strategy",
        "none",
        ["none", "mirrored", "multi_worker"],
        "Distribution: one device, all devices of this machine, or those of "
        "all the workers that the environment variable TF_CONFIG names.",
        **kwargs,
    )
    flags.DEFINE_enum(
        "dtype_policy",
        "float32",
        ["float32", "mixed_bfloat16", "float64"],
        "Keras dtype policy of the networks. Log-determinants are always "
        "computed in float32 or better.",
        **kwargs,
    )
    flags.DEFINE_bool(
        "deterministic",
        False,
        "Makes every operation deterministic: runs are equal to the bit.",
        **kwargs,
    )
    flags.DEFINE_integer(
        "log_every", 50, "Steps between logs.", lower_bound=1, **kwargs
    )
    flags.DEFINE_bool(
        "gradient_norms",
        True,
        "Logs the norms of the gradients, which over several devices costs a "
        "second sum of the gradients.",
        **kwargs,
    )
    flags.DEFINE_integer(
        "pictures_every",
        1000,
        "Steps between pictures of reconstructions and atoms.",
        lower_bound=1,
        **kwargs,
    )
    flags.DEFINE_integer(
        "checkpoint_every",
        None,
        "Steps between checkpoints, besides checkpoint_minutes.",
        lower_bound=1,
        **kwargs,
    )
    flags.DEFINE_float(
        "checkpoint_minutes",
        2.0,
        "Minutes between checkpoints; 0 for none but the last.",
        lower_bound=0.0,
        **kwargs,
    )
    flags.DEFINE_enum(
        "keep_best",
        None,
        ["psnr", "ssim", "cosine"],
        "Metric of the first training images that are held out for validation. "
        "It is measured every checkpoint_every steps, as the trained model "
        "would be saved, and the trained model is the one at which it was "
        "highest. By default it is the last.",
        **kwargs,
    )
    flags.DEFINE_integer(
        "keep_best_images",
        500,
        "Most images that keep_best is measured on.",
        lower_bound=1,
        upper_bound=1_000_000,
        why="they are kept in memory",
        **kwargs,
    )
    flags.DEFINE_bool(
        "evaluate",
        True,
        "Whether to evaluate the trained model on the test split at the end.",
        **kwargs,
    )
    flags.DEFINE_list(
        "metrics",
        [],
        "What else to evaluate, separated by commas: classes, classifier, "
        "stages. They take minutes for large data; evaluate.py --help says "
        "what they are.",
        **kwargs,
    )
    flags.DEFINE_integer(
        "evaluation_limit",
        10_000,
        "Most images of a split that are used in an evaluation.",
        lower_bound=1,
        upper_bound=1_000_000,
        why="each is compared with each",
        **kwargs,
    )


def _define_data(flag_values):
    kwargs = {"flag_values": flag_values}
    flags.DEFINE_string(
        "dataset",
        None,
        "Name of a TFDS data set, or image_folder, digits, photographs.",
        **kwargs,
    )
    flags.DEFINE_string(
        "data_dir",
        None,
        "Folder of prepared TFDS data sets (by default TFDS's own), or the "
        "image folder.",
        **kwargs,
    )
    flags.DEFINE_bool(
        "download",
        False,
        "Whether to let TFDS download and prepare a missing data set.",
        **kwargs,
    )
    flags.DEFINE_float(
        "validation_fraction",
        0.05,
        "Part of the training images that is left out of training.",
        lower_bound=0.0,
        upper_bound=0.5,
        **kwargs,
    )
    flags.DEFINE_bool(
        "horizontal_flip", False, "Flips half of the images.", **kwargs
    )
    flags.DEFINE_integer(
        "random_shift",
        0,
        "Moves images by up to so many pixels.",
        lower_bound=0,
        **kwargs,
    )
    flags.DEFINE_bool(
        "random_crop", False, "Crops at random places, not centres.", **kwargs
    )
    flags.DEFINE_integer(
        "cache_mib",
        4096,
        "Data sets of up to this size, decoded, are kept in memory.",
        lower_bound=0,
        **kwargs,
    )


def _define_model(flag_values):
    kwargs = {"flag_values": flag_values}
    flags.DEFINE_string(
        "preset",
        None,
        f"Architecture: {', '.join(PRESETS)}, or a folder that "
        "save_to_preset wrote, whose weights are the initial ones.",
        **kwargs,
    )
    text = "By default the preset's."
    flags.DEFINE_enum(
        "network",
        None,
        ["csc", "conv"],
        f"Sparse coding layers, or the convolutional baseline. {text}",
        **kwargs,
    )
    flags.DEFINE_numbers(
        "filters",
        None,
        f"Atoms of every stage, as 64,128,256. {text}",
        int,
        1,
        16_384,
        MOST_STAGES,
        why="two stages of more have a dictionary of over 16 GB",
        **kwargs,
    )
    flags.DEFINE_integer(
        "feature_dim",
        None,
        f"Number of features. {text}",
        lower_bound=1,
        upper_bound=16_384,
        why="every step takes determinants of matrices of this size",
        **kwargs,
    )
    flags.DEFINE_integer(
        "kernel_size",
        None,
        f"Size of the atoms. {text}",
        lower_bound=1,
        upper_bound=64,
        why="a larger one is not a local filter of the images of any preset",
        **kwargs,
    )
    flags.DEFINE_numbers(
        "sparsity",
        None,
        "Weight of the l1 norm of codes, one or one for every stage, as "
        f"0.05,0.5,0.5. {text}",
        float,
        0.0,
        1e6,
        MOST_STAGES,
        **kwargs,
    )
    flags.DEFINE_float(
        "ridge",
        None,
        f"Weight of the l2 norm of codes. {text}",
        lower_bound=0.0,
        upper_bound=1e6,
        **kwargs,
    )
    flags.DEFINE_bool(
        "nonnegative", None, f"Whether codes are >= 0. {text}", **kwargs
    )
    flags.DEFINE_bool(
        "split",
        None,
        "Whether the next stage is given the positive and negative parts of "
        f"codes as channels of their own. {text}",
        **kwargs,
    )
    flags.DEFINE_integer(
        "iterations",
        None,
        f"Solver steps of every layer. {text}",
        lower_bound=1,
        upper_bound=1000,
        why="each is a part of the graph of every step, which takes long to "
        "build, and of its memory",
        **kwargs,
    )
    flags.DEFINE_enum(
        "algorithm", None, ["fista", "ista"], f"Solver. {text}", **kwargs
    )
    flags.DEFINE_enum(
        "gradient",
        None,
        ["unrolled", "implicit"],
        "Gradient of the solver's steps, or, for many of them, of the "
        f"solution. {text}",
        **kwargs,
    )
    flags.DEFINE_bool(
        "tight_frame",
        None,
        f"Whether the encoder's atoms are kept a tight frame. {text}",
        **kwargs,
    )
    flags.DEFINE_bool(
        "isotropic",
        None,
        "Whether the encoder divides all channels of a stage by one deviation, "
        f"rather than each by its own. {text}",
        **kwargs,
    )
    flags.DEFINE_integer(
        "frozen_stages",
        None,
        "Stages of the encoder, from the image upwards, whose first atoms stay "
        f"as they are. {text}",
        lower_bound=0,
        **kwargs,
    )
    flags.DEFINE_integer(
        "principal_images",
        0,
        "Training images whose principal components are the first atoms: some "
        "thousand. By default the first atoms are random.",
        lower_bound=0,
        upper_bound=1_000_000,
        why="they are kept in memory",
        **kwargs,
    )
    flags.DEFINE_integer(
        "patch_images",
        0,
        "Training images whose random patches are the first atoms of the "
        "image's dictionaries: some thousand. With --principal_images too, "
        "those that are more than a patch has numbers stay patches.",
        lower_bound=0,
        **kwargs,
    )
    flags.DEFINE_bool(
        "tied",
        None,
        f"Whether the decoder uses the encoder's dictionaries. {text}",
        **kwargs,
    )


def _define_game(flag_values):
    kwargs = {"flag_values": flag_values}
    flags.DEFINE_enum(
        "objective",
        "binary",
        ["binary", "multi"],
        "CTRL-Binary, or CTRL-Multi, which needs labels.",
        **kwargs,
    )
    flags.DEFINE_float(
        "epsilon",
        0.5,
        "Distortion of the coding rates.",
        above=0.0,
        upper_bound=1e6,
        **kwargs,
    )
    for name, default, text in (
        ("encoder_rate", 1.0, "of the rate reduction in the encoder"),
        ("decoder_rate", 1.0, "of the rate reduction in the decoder"),
        ("encoder_consistency", 0.0, "of the consistency in the encoder"),
        ("decoder_consistency", 0.0, "of the consistency in the decoder"),
        ("class_rate", 1.0, "of the classes' rate reduction in the encoder"),
        ("stages", 0.0, "of the multi-stage loop in the decoder"),
        (
            "dictionary",
            0.0,
            "in the encoder of what the first codes leave of images, which "
            "the first atoms alone descend",
        ),
    ):
        flags.DEFINE_float(
            name, default, f"Weight {text}.", lower_bound=0.0, **kwargs
        )
    flags.DEFINE_integer(
        "class_features",
        0,
        "Features, of all, that carry the classes: the rate reduction of this "
        "part is the encoder's alone. It needs labels.",
        lower_bound=0,
        **kwargs,
    )
    flags.DEFINE_float(
        "memory",
        0.0,
        "Share of the second moments that is kept from step to step, so that "
        "rates are of more images than a batch holds.",
        lower_bound=0.0,
        below=1.0,
        **kwargs,
    )
    flags.DEFINE_float(
        "stage_decay",
        1.0,
        "Weight of a stage in the multi-stage loop relative to the one below.",
        lower_bound=0.0,
        upper_bound=1e3,
        **kwargs,
    )
    flags.DEFINE_bool(
        "cooperation",
        False,
        "Carries the decoder's gradient at the features into the encoder.",
        **kwargs,
    )
    flags.DEFINE_bool(
        "shared_statistics",
        False,
        "Normalises regenerated images with the statistics of the real ones.",
        **kwargs,
    )


def _define_optimization(flag_values):
    kwargs = {"flag_values": flag_values}
    flags.DEFINE_integer(
        "batch_size",
        256,
        "Images in a step.",
        lower_bound=1,
        upper_bound=2**20,
        why="a step holds all codes of its images in memory",
        **kwargs,
    )
    flags.DEFINE_enum(
        "update",
        "simultaneous",
        ["simultaneous", "alternating"],
        "Both players from one pass, or one after the other.",
        **kwargs,
    )
    flags.DEFINE_integer(
        "encoder_steps",
        1,
        "Steps of the encoder for one of the decoder, when alternating.",
        lower_bound=1,
        upper_bound=100,
        why="each is a part of the graph of every step, which takes long to "
        "build",
        **kwargs,
    )
    flags.DEFINE_enum(
        "optimizer",
        "adam",
        ["adam", "lamb", "muon"],
        "Adam; LAMB: Adam's direction, with a step in proportion to the norm "
        "of each weight; or Muon: orthogonal steps of the dictionaries, and "
        "Adam at 0.3 times the rate for the rest.",
        **kwargs,
    )
    for name in ("encoder_learning_rate", "decoder_learning_rate"):
        flags.DEFINE_float(
            name,
            1.5e-4,
            "The highest rate.",
            lower_bound=0.0,
            upper_bound=1e3,
            **kwargs,
        )
    flags.DEFINE_enum(
        "schedule",
        "constant",
        ["constant", "linear", "cosine"],
        "How the learning rates fall to 0 at the last step.",
        **kwargs,
    )
    flags.DEFINE_integer(
        "warmup_steps",
        0,
        "Steps in which the learning rates rise from 0.",
        lower_bound=0,
        upper_bound=MOST_STEPS,
        **kwargs,
    )
    for name, default in (("beta_1", 0.5), ("beta_2", 0.999)):
        flags.DEFINE_float(
            name,
            default,
            "Of Adam and LAMB.",
            lower_bound=0.0,
            below=1.0,
            **kwargs,
        )
    flags.DEFINE_float(
        "ema_momentum",
        None,
        "Momentum of the moving average of the weights that is evaluated and "
        "exported; none by default.",
        lower_bound=0.0,
        below=1.0,
        **kwargs,
    )
