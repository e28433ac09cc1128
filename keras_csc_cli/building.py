"""What the options of a run become: data, model, game, optimizers."""

import importlib
import inspect
import os
import re
import sys

from keras_csc_cli import devices
from keras_csc_cli import records
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.workdir import checked_path

import keras

from keras_csc import data
from keras_csc.export.card import card_of
from keras_csc.losses import Game
from keras_csc.losses import TranscriptionGame
from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.models import initialize_from
from keras_csc.models import initialize_from_patches
from keras_csc.models import presets
from keras_csc.models import training_data
from keras_csc.models.architecture import check_architecture
from keras_csc.models.decoder import CALIBRATION
from keras_csc.optimizers import DictionaryMuon
from keras_csc.pixels import from_pixels
from keras_csc.terminal import say
from keras_csc.validation import check_bool
from keras_csc.validation import check_integers

# Most images of a split, for an evaluation or a density.
MOST_IMAGES = 10_000
NEIGHBORS = 3  # of `metrics.precision_recall`, which needs another image
FIRST_ATOMS = {
    "patches": initialize_from_patches,
    "principal": initialize_from,
}
OPTIMIZERS = {"adam": keras.optimizers.Adam, "muon": DictionaryMuon}


class Splits(dict):
    """The splits of a run's data set, opened when first asked for.

    Opening lists the data and looks at them, which takes long for large
    folders. So it keeps the sources.

    Args:
        options: of the run.
        model: the run's model, whose images have the shape to open. By default
            the options' preset has the shape, and must be there.
    """

    def __init__(self, options, model=None):
        self.dataset = options.dataset
        if model is None:
            config = presets.config(options.preset, **options.architecture)
            shape = config["image_shape"]
            check_integers(1, length=3, image_shape=shape)
        else:
            shape = model.encoder.image_shape
        self.image_shape = tuple(shape)
        self._how = {
            "data_dir": options.data_dir,
            "validation_fraction": options.validation_fraction,
            "download": options.download,
            "random_crop": "crop" in options.augment,
            "resize": options.resize,
        }
        self._read = {}

    def __missing__(self, split):
        self[split] = data.open_dataset(
            self.dataset, split, self.image_shape, **self._how
        )
        return self[split]

    def arrays(self, split, limit):
        """The first images and labels of a split, read once."""
        if (split, limit) not in self._read:
            self._read[split, limit] = data.load_arrays(self[split], limit)
        return self._read[split, limit]

    @property
    def num_classes(self):
        """Number of classes, or `None` without labels."""
        return self["train"].num_classes


def augmentation(options):
    """What `--augment` says of batches, as arguments of `data.batches`."""
    shift = re.search(r"shift:(\d+)", options.augment)
    return {
        "horizontal_flip": "flip" in options.augment,
        "random_shift": int(shift[1]) if shift else 0,
    }


def network(options, make=ClosedLoopAutoencoder.from_preset):
    """The autoencoder of the options, not compiled.

    `make` is called as `from_preset` is.
    """
    return make(
        options.preset,
        load_weights=presets.has_weights(options.preset),
        dtype=devices.dtype_policy(options.dtype_policy),
        **options.architecture,
    )


def model(options, num_classes, make=ClosedLoopAutoencoder.from_preset):
    """The compiled autoencoder of the options.

    A model with trained weights keeps its statistics: statistics of other
    images would change the scale of all codes.
    """
    autoencoder = network(options, make)
    if presets.has_weights(options.preset):
        autoencoder.freeze_normalizations()
    rate, *decoder_rate = options.learning_rate
    played = game(options.game, num_classes, options.game_class)
    autoencoder.compile(
        optimizer(options, rate, 1 + played.inner_step),
        optimizer(options, *decoder_rate) if decoder_rate else None,
        game=played,
    )
    return autoencoder


def convolutions(options):
    """Shapes of images and kernel, and strides, of the stages of a run."""
    config = presets.config(options.preset, **options.architecture)
    names = "image_shape", "filters", "feature_dim", "kernel_size", "strides"
    given = [config[name] for name in (*names, "features", "lapped")]
    *shape, channels = config["image_shape"]
    check_bool(nonnegative=config["nonnegative"])
    signs = 2 - config["nonnegative"]
    for filters, size, stride in zip(given[1], *check_architecture(*given)):
        images = (options.batch_size, *shape, channels)
        yield images, (size, size, channels, filters), stride
        shape, channels = [n // stride for n in shape], signs * filters


def game(given, num_classes, game_class=None):
    """The game of `--game`, a dict of its arguments, or of `--game_class`.

    What only our game has, as our flag files give it, is left out of another,
    and said so.
    """
    kind = _imported(game_class) if game_class else TranscriptionGame
    taken, ours = (
        inspect.signature(cls).parameters for cls in (kind, TranscriptionGame)
    )
    takes_all = any(p.kind is p.VAR_KEYWORD for p in taken.values())
    left_out = set() if takes_all else set(ours) - set(taken)
    unused = sorted(left_out.intersection(given))
    if unused:
        say(f"{game_class} is played without {', '.join(unused)} of --game.")
    given = {**given, "num_classes": num_classes}
    given = {n: v for n, v in given.items() if n not in left_out}
    try:
        return kind(**given)
    except (TypeError, ValueError) as error:
        labels = "" if num_classes else " The data set has no labels."
        raise UsageError(f"--game: {error}.{labels}") from error


def _imported(name):
    """The class of `--game_class`."""
    module, _, name_of_class = name.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        kind = getattr(importlib.import_module(module), name_of_class)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"--game_class={name}: {error}.") from error
    finally:
        sys.path.remove(os.getcwd())
    if not (isinstance(kind, type) and issubclass(kind, Game)):
        raise UsageError(
            f"--game_class={name} must be a subclass of keras_csc.losses.Game."
        )
    return kind


def start_from_images(model, source, first_atoms, tell):
    """Gives a model its first atoms, and calibrates its decoder."""
    kind, *numbers = first_atoms.split(":")
    if kind == "auto":
        images = float_images(source, training_data.FIRST_IMAGES)
        training_data.start_from(model, images, tell)
    elif numbers:
        count, *offset = map(int, numbers)
        tell(f"Making the first atoms of {count} training images.")
        FIRST_ATOMS[kind](model, float_images(source, count), *offset)
    if not model.decoder.calibrated:
        model.decoder.calibrate(float_images(source, CALIBRATION))


def float_images(source, limit):
    """The first images of a source, in [-1, 1]."""
    images, _ = data.load_arrays(source, limit)
    return from_pixels(images)


def fit_density(model, splits, options):
    """Gives a model the density of its features of some training images."""
    if model.encoder.features != "vector":
        return
    say("Fitting the density of the features of training images.")
    images, labels = splits.arrays("train", MOST_IMAGES)
    try:
        model.fit_density(images, labels, options.density_components)
    except ValueError as error:
        model.density = None
        say(f"The model is saved without a density: {error}")


def trained_model(folder, load=ClosedLoopAutoencoder.from_preset):
    """The model that a finished run saved in its folder, a `pathlib.Path`."""
    if not (folder / "model").is_dir():
        raise UsageError(
            f"{folder} has no trained model (model/). Train it to its last "
            "step first. A checkpoint can be evaluated with --checkpoint, not "
            "exported."
        )
    return load(folder / "model")


def opened(workdir, preset, load=ClosedLoopAutoencoder.from_preset):
    """The model of a finished run, or of a preset, and what its card says."""
    if preset is None:
        folder = checked_path(workdir).absolute()
        return trained_model(folder, load), records.card_of_run(folder)
    return load(preset), card_of(preset)


def optimizer(options, learning_rate, updates=1):
    """An optimizer with the options' schedule, for `updates` a step."""
    name, _, betas = options.optimizer.partition(":")
    beta_1, beta_2 = map(float, (betas or "0.5,0.999").split(","))
    schedules, updates = keras.optimizers.schedules, options.steps * updates
    if options.schedule == "cosine":
        learning_rate = schedules.CosineDecay(learning_rate, updates)
    elif options.schedule == "linear":
        learning_rate = schedules.PolynomialDecay(learning_rate, updates, 0.0)
    return OPTIMIZERS[name](learning_rate, beta_1=beta_1, beta_2=beta_2)


def check(options):
    """Checks preset and folders before any work.

    Trained weights keep their atoms.
    """
    if presets.find(options.preset).folder is not None:
        options.first_atoms = "random"
    given = options.data_dir, options.workdir
    if options.dataset == "image_folder" and None not in given:
        images, run = map(os.path.realpath, given)
        if os.path.commonpath((images, run)) == images:
            raise UsageError(
                f"--workdir={options.workdir} lies in "
                f"--data_dir={options.data_dir}, and the pictures of a run "
                "would become training images. Choose another with --workdir."
            )


def check_metrics(names, splits, model, split="test", limit=MOST_IMAGES):
    """Raises `UsageError` for metrics that data or model can't have."""
    classes = splits.num_classes or 0
    if {"classes", "classifier"} & set(names) and classes < 2:
        raise UsageError(
            "--metrics=classes and --metrics=classifier need labels of two "
            f"classes or more, and {splits.dataset!r} has {classes or 'none'}. "
            "Give other --metrics, such as images."
        )
    if "samples" in names and model.encoder.features != "vector":
        raise UsageError(
            "--metrics=samples is for models with one feature vector an "
            f"image, and this one has features={model.encoder.features}. "
            "Leave samples out."
        )
    if {"classifier", "samples"} & set(names):
        count = min(splits[split].size, limit)
        if count <= NEIGHBORS:
            raise UsageError(
                "--metrics=classifier and --metrics=samples need more than "
                f"{NEIGHBORS} images, and have {count} of the split {split}. "
                "Leave them out, or give a larger --evaluation_limit or more "
                "images."
            )
