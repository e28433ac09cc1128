"""The flags of `train`, and the options that they become.

Nothing here imports TensorFlow: mistakes are answered before that.
"""

import sys
import types

from keras_csc_cli import checked_flags as kinds
from keras_csc_cli import command_line
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.command_line import resolve_flag_files

from absl import flags

# Flags of one run that may change when it is resumed: they do not change what
# is computed.
MAY_CHANGE = {
    *("data_dir", "density_components", "download", "logical_devices"),
    *("metrics", "save_every", "strategy", "workdir"),
}
# Data sets that come inside a library.
EMBEDDED = ("digits", "photographs")
# Data sets that `--noresize` cuts into crops.
CUT = ("image_folder", "photographs")
# Metrics of `evaluate.py` that need nothing but the data.
METRICS = ("images", "classes", "classifier", "samples", "codes")
CHANGE = r"(flip|crop|shift:\d{1,4})"
BETA = r"(0|0?\.\d+)"
Enum, Integer = flags.EnumParser, flags.IntegerParser


def _check(options):
    """Raises `UsageError` for what is missing, and names the workdir."""
    name = command_line.flag_file_name(sys.argv)
    if options.workdir is None and name is None:
        raise UsageError(
            "--workdir is missing. Give it, or a --flagfile to name it."
        )
    options.workdir = options.workdir or f"runs/{name}"
    _check_place(options.dataset, options.data_dir)


def _check_place(dataset, data_dir):
    """Raises `UsageError` for a folder that is not looked at."""
    if data_dir and dataset in EMBEDDED:
        raise UsageError(
            f"--data_dir={data_dir} is not for --dataset={dataset}, which "
            "comes inside a library. Choose --dataset=image_folder for a "
            "folder of images, or leave --data_dir out."
        )


TRAIN = kinds.Command(
    "train.train",
    f"""Trains a CSC-CTRL autoencoder.

    keras-csc train --flagfile=cifar10.flags --data_dir=DATA

Writes to --workdir: checkpoints/, log.jsonl, run.json, tensorboard/, pictures/,
and at the end model/ (a preset folder) and evaluation.json. Run the same
command again to go on from the last checkpoint.

--flagfile=FILE reads flags, one a line; flags after it override it. A bare name
may also be one of ours: digits.flags, cifar10.flags, ...

Data:
    dataset: Name of a TFDS data set, or image_folder, digits, photographs.
    data_dir: Folder of prepared TFDS data sets (by default TFDS's own), or the
        image folder.
    download: Whether to let TFDS download and prepare a missing data set.
    validation_fraction: Part of the training images that is left out of
        training, for validation. An image_folder with folders train,
        validation (or val) and test leaves none out.
    augment: How training images are changed at random, separated by commas:
        flip mirrors half of them, shift:N moves them by up to N pixels, crop
        cuts them at random places, not from the centre. Nothing for no changes.
    resize: Shrinks images to cover what the model takes. Without it an
        image_folder is cut into crops of that size, as many as fit.
Model:
    preset: Architecture: celeb_a, cifar10, digits, fashion_mnist, imagenet,
        imagenet_maps, lsun_bedroom, mnist, photographs, stl10. Or a trained
        model, whose weights are the first ones, and whose normalisations stay
        as they are: of ours (csc_ctrl_digits, ...), a folder that
        save_to_preset wrote, or one on a hub (hf://OWNER/NAME,
        kaggle://OWNER/MODEL/keras/VARIANT).
    architecture: What of the preset's architecture to replace, as
        filters=64,128,sparsity=0.1: arguments of keras_csc.models.Encoder and
        Decoder (filters, feature_dim, kernel_size, strides, sparsity, zeros,
        nonnegative, iterations, tight_frame, lapped, ...), which docs/method.md
        explains. Given again, it adds to what was given before.
    first_atoms: The first atoms: random, the principal components of N
        training images, or, in the first stage, random patches of N training
        images. auto is principal:1024, as in Python, or random where that can't
        be. N is below a million, as the images are in memory. OFFSET says how
        far features lie from their centre: 2, if it is left out; more makes
        maps better at the start. A trained model has its own first atoms.
Game:
    game: What encoder and decoder play for, as objective=multi,memory=0.98:
        arguments of keras_csc.losses.TranscriptionGame (objective, epsilon,
        residual, multistage, consistency, memory, inner_step,
        shared_statistics), which docs/method.md explains. Given again, it adds
        to what was given before.
    game_class: A game of your own, as module:Class: the module is found from
        the current folder. --game then has arguments of that class; those that
        only our game has are left out, and a line names them.
Optimisation:
    batch_size: Images in a step, which holds all their codes in memory.
    optimizer: adam; or muon: orthogonal steps of the dictionaries, and Adam at
        0.3 times the rate for the rest. After a colon may be Adam's two betas,
        which are otherwise 0.5 and 0.999.
    learning_rate: The highest rate. Of one number, one pass moves all weights.
        Of two, steps alternate, as published: the encoder's, at the first
        rate, then the decoder's against the new encoder, at the second.
    schedule: How the learning rates fall to 0 at the last step.
Run, logs and checkpoints:
    workdir: Folder of this run: checkpoints, logs, pictures, the trained
        model. By default runs/NAME, NAME being that of the flag file.
    seed: Seed of weights and of the order and changes of images.
    steps: Steps of training, batches.
    strategy: Distribution: one device, all devices of this machine, or those
        of all the workers that the environment variable TF_CONFIG names.
    logical_devices: Devices that the processor is divided into, to try mirrored
        without several GPUs. Of more than one, GPUs are not used.
    dtype_policy: Keras dtype policy of the networks. auto is mixed_bfloat16
        where the GPUs have instructions for bfloat16. Without GPUs it is
        mixed_bfloat16 where the processor has them and convolves at least 1.1
        times as fast with them, which is timed once. Else it is float32. A run
        that goes on keeps its own. Log-determinants are always computed in
        float32 or better.
    save_every: Steps between pictures, and between checkpoints, which are also
        written every two minutes. There are logs every 50 steps or as often.
    metrics: What to evaluate at the end, on the test split, separated by
        commas: {", ".join(METRICS)}. images are measured with any of the
        others, which take minutes for large data; evaluate.py --help says what
        they are. Nothing for no evaluation.
    density_components: Gaussians of every class, or of all images without
        labels, in the density that samples are drawn from: it is fitted to the
        features of up to 10,000 training images and saved with the model.
""",
    ["preset", "dataset", "steps"],
    _check,
    dataset=(None, kinds.TEXT),
    data_dir=(None, kinds.FOLDER),
    download=False,
    validation_fraction=(0.05, kinds.Number(0, 0.5)),
    augment=(
        "",
        kinds.pattern(
            f"({CHANGE}(,{CHANGE})*)?", "flip,shift:N,crop", "flip,shift:2"
        ),
    ),
    resize=True,
    preset=(None, kinds.PATH),
    architecture=({}, kinds.Arguments("filters")),
    first_atoms=(
        "auto",
        kinds.pattern(
            r"auto|random|patches:[1-9]\d{0,5}|principal:[1-9]\d{0,5}(:\d{1,3})?",
            "auto|random|principal:N[:OFFSET]|patches:N",
            "principal:4096",
        ),
    ),
    game=({}, kinds.Arguments()),
    game_class=(
        None,
        kinds.pattern(r"[\w.]+:\w+", "MODULE:CLASS", "my_games:CentredGame"),
    ),
    batch_size=(256, Integer(1, 2**20)),
    optimizer=(
        "adam:0.5,0.999",
        kinds.pattern(
            f"(adam|muon)(:{BETA},{BETA})?", "adam|muon[:X,X]", "adam:0,0.9"
        ),
    ),
    learning_rate=("1.5e-4", kinds.numbers(2, 0, 1e3)),
    schedule=("constant", Enum(["constant", "linear", "cosine"])),
    workdir=(None, kinds.PATH),
    seed=(0, Integer(0, 2**32 - 1)),
    steps=(None, Integer(1, 10**9)),
    strategy=("none", Enum(["none", "mirrored", "multi_worker"])),
    logical_devices=(1, Integer(1, 64)),
    dtype_policy=(
        "auto",
        Enum(["auto", "float32", "mixed_bfloat16", "float64"]),
    ),
    save_every=(1000, Integer(1, 10**9)),
    metrics=("images", kinds.choices(METRICS)),
    density_components=(1, Integer(1, 1000)),
)
SECTIONS = TRAIN.sections


def parse(given, sections=SECTIONS):
    """Options of `["--dataset=digits"]`, flags of train or of `sections`."""
    flag_values = flags.FlagValues()
    kinds.define(sections, flag_values)
    try:
        flag_values(["train", *resolve_flag_files(given)])
    except flags.Error as error:
        raise UsageError(str(error)) from error
    return kinds.values(sections, flag_values)


def recorded(values, sections=SECTIONS):
    """Options of a dict of recorded values, which the flags' parsers check.

    Options that it has not, or as `None`, have their defaults.
    """
    options = parse([], sections)
    parsers = {f.name: f.parser for f in sum(sections.values(), [])}
    for name, value in values.items():
        try:
            if value is not None:
                parser = parsers[kinds.known(name, parsers)]
                setattr(options, name, parser.parse(value))
        except (AttributeError, TypeError, ValueError) as error:
            raise UsageError(f"--{name}={value!s:.40}: {error}") from error
    return options


def replaced(options, /, **others):
    """A copy of options, with other values of some; `None` replaces nothing.

    Images of another data set are resized if it can't be cut into crops.
    """
    others = {name: v for name, v in others.items() if v is not None}
    copy = types.SimpleNamespace(**{**vars(options), **others})
    _check_place(copy.dataset, others.get("data_dir"))
    if "dataset" in others and copy.dataset not in CUT:
        copy.resize = True
    return copy


def of_card(preset, card):
    """The options of a preset's training, as far as its card has them."""
    recipe = card.get("recipe")
    known = recipe if isinstance(recipe, dict) else {}
    return replaced(parse([]), **{**known, "preset": preset})
