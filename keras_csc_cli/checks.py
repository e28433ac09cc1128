"""Checks of the options of a run, before any long work."""

import math
import os

from keras_csc_cli.building import game
from keras_csc_cli.building import image_shape
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.command_line import usage_errors
from keras_csc_cli.splits import check_classes
from keras_csc_cli.train_options import EMBEDDED
from keras_csc_cli.train_options import METRICS
from keras_csc_cli.train_options import ORDERED

from keras_csc.data.tfds_builder import described_classes
from keras_csc.models import presets
from keras_csc.models.architecture import weight_shapes
from keras_csc.models.closed_loop_autoencoder import check_game

BYTES_OF_WEIGHT = 16  # with its gradient and two moments
LEAST_COMPARED = 4  # one more than the neighbours of precision and recall
MOST_CLASSES = 2**20  # where their number is not known yet


def check(options):
    """Checks what no part can check alone.

    Raises:
        UsageError: for options that do not go together.
    """
    check_data_dir(options.dataset, options.data_dir)
    check_folders(options)
    check_start(options)
    side = min(image_shape(options.preset)[:2])
    if options.random_shift >= side:
        raise UsageError(
            f"--random_shift={options.random_shift} must be below the sides "
            f"of the images, {side}."
        )
    check_alternating(options)
    check_validation(options)
    check_metrics(options.metrics)
    with usage_errors():
        config = presets.config(options.preset, **options.architecture)
        encoder, _ = presets.players(config)
        check_game(game(options.game, MOST_CLASSES), encoder)
    check_samples(options.metrics, config["features"])
    check_principal(options.principal_images, config["feature_dim"])
    check_size(config)
    if options.download and options.dataset not in ORDERED:
        check_described(options)


def check_alternating(options):
    """Checks what an inner step goes with.

    Raises:
        UsageError: if it is missing.
    """
    alternating = options.decoder_learning_rate is not None
    multi = options.game.get("objective") == "multi"
    if options.inner_step and not (alternating and multi):
        raise UsageError(
            "--inner_step goes with --decoder_learning_rate, for alternating "
            "steps, and --game=objective=multi. Give both, or leave it out."
        )


def check_described(options):
    """Checks what is known of a data set before it is downloaded.

    Raises:
        UsageError: if it has not the labels that are asked for.
    """
    classes = described_classes(options.dataset, options.data_dir)
    check_metrics_labels(options.metrics, options.dataset, classes)
    check_labels(options.game, options.dataset, classes, options.batch_size)


def check_validation(options):
    """Checks that there can be the images that `--keep_best` is measured on.

    Raises:
        UsageError: if there can't. A folder may have a part of its own.
    """
    held = options.validation_fraction or options.dataset == "image_folder"
    if options.keep_best and not held:
        raise UsageError(
            "--keep_best is measured on images that are held out, and "
            "--validation_fraction=0 holds none out. Give another."
        )


def check_principal(images, features, size=None):
    """Checks that there are images enough for the first atoms.

    Args:
        images: of `--principal_images`.
        features: int, how many a feature vector has.
        size: int, number of training images, or `None` if it is not known.

    Raises:
        UsageError: if there are not.
    """
    count = images if size is None else min(images, size)
    if 0 < count < features:
        of = "" if size is None else f", of {size} training images,"
        raise UsageError(
            f"--principal_images={images}{of} must be at least as many as "
            f"features, {features}. Give 0 for random first atoms, or more "
            "images, or fewer features with --architecture=feature_dim=..."
        )


def check_data_dir(dataset, data_dir):
    """Checks that a folder of data is asked for.

    Raises:
        UsageError: for one that would not be looked at.
    """
    if data_dir is not None and dataset in EMBEDDED:
        raise UsageError(
            f"--data_dir={data_dir} is not for --dataset={dataset}, which "
            "comes inside a library. Choose --dataset=image_folder for a "
            "folder of images, or leave --data_dir out."
        )


def check_folders(options):
    """Checks that a run does not write among the images that it reads.

    Raises:
        UsageError: if its pictures would become images of another class.
    """
    if options.dataset != "image_folder" or None in (
        options.data_dir,
        options.workdir,
    ):
        return
    images, run = map(os.path.realpath, (options.data_dir, options.workdir))
    if os.path.commonpath((images, run)) == images:
        raise UsageError(
            f"--workdir={options.workdir} lies in "
            f"--data_dir={options.data_dir}, and the pictures of a run would "
            "become training images. Choose another with --workdir."
        )


def check_start(options):
    """Checks what is asked of the first weights.

    Raises:
        UsageError: for trained ones that would be replaced, and untrained
            ones that would be kept.
    """
    trained = presets.has_weights(options.preset)
    for name in ("principal_images", "patch_images"):
        if getattr(options, name) and trained:
            raise UsageError(
                f"--{name} would replace weights of --preset="
                f"{options.preset}. Leave one of them out."
            )
    if options.freeze_normalizations and not trained:
        raise UsageError(
            "--freeze_normalizations keeps what trained weights know, and "
            f"--preset={options.preset} has none. Leave it out, or name a "
            "trained preset or the model/ of a run."
        )


def check_size(config):
    """Checks that networks have no more weights than memory is for.

    Raises:
        UsageError: if they have.
    """
    weights = sum(math.prod(shape) for shape in weight_shapes(config))
    most = memory() // BYTES_OF_WEIGHT
    if weights > most:
        raise UsageError(
            f"the networks would have {weights:,} weights, each of which takes "
            f"{BYTES_OF_WEIGHT} bytes in training, and this machine has memory "
            f"for {most:,}. Choose smaller filters, feature_dim or "
            "kernel_size with --architecture."
        )


def memory():
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_metrics(names, known=METRICS):
    """Checks the names that `--metrics` is given.

    Raises:
        UsageError: for one that is not known.
    """
    for name in names:
        if name not in known:
            raise UsageError(
                f"--metrics has no {name!r}. It has {', '.join(known)}."
            )


def check_compared(names, splits, limit, split="test"):
    """Checks that there are images enough for what compares sets of them.

    Args:
        names: of `--metrics`.
        splits: `Splits` of the data.
        limit: of `--evaluation_limit`.
        split: str, the images that are evaluated.

    Raises:
        UsageError: if there are not.
    """
    if not {"classifier", "inception", "ctrl", "samples"} & set(names):
        return
    for name in ("train", split):
        count = min(splits[name].size, limit)
        if count < LEAST_COMPARED:
            raise UsageError(
                "--metrics=classifier, inception, ctrl and samples compare at "
                f"least {LEAST_COMPARED} images, and of the split {name} of "
                f"{splits.dataset!r} there are {count}. Leave them out, or "
                "raise --evaluation_limit."
            )


def check_samples(names, features):
    """Checks that a model that is to be sampled can be.

    Args:
        names: of `--metrics`.
        features: `"vector"` or `"map"`.

    Raises:
        UsageError: if it can't.
    """
    if "samples" in names and features != "vector":
        raise UsageError(
            "--metrics=samples is for models with one feature vector an "
            f"image, and this one has features={features}. Leave samples out."
        )


def check_replicas(options, replicas):
    """Checks that the batch can be shared out.

    Raises:
        UsageError: if it can't.
    """
    if options.batch_size % replicas:
        raise UsageError(
            f"--batch_size={options.batch_size} is not divisible by the "
            f"{replicas} replicas of --strategy={options.strategy}."
        )


def check_batches(options, splits):
    """Checks that the batch suits the data and the objective.

    Raises:
        UsageError: if it does not.
    """
    batch, size = options.batch_size, splits["train"].size
    if batch > size:
        raise UsageError(
            f"--batch_size={batch} is above the {size} training images "
            f"of {options.dataset!r}."
        )
    config = presets.config(options.preset, **options.architecture)
    check_principal(options.principal_images, config["feature_dim"], size)
    classes = splits.num_classes
    check_metrics_labels(options.metrics, options.dataset, classes)
    check_labels(options.game, options.dataset, classes, batch)


def check_metrics_labels(names, dataset, classes):
    """Checks that there are labels for the metrics that need them.

    Raises:
        UsageError: if there are not.
    """
    if {"classes", "classifier"} & set(names):
        check_classes(dataset, classes)


def check_labels(arguments, dataset, classes, batch):
    """Checks that a game has the labels it is played with.

    Args:
        arguments: of `--game`.
        dataset: name of the data set.
        classes: int, or `None` without labels.
        batch: of `--batch_size`.

    Raises:
        UsageError: if it has not.
    """
    played = game(arguments, MOST_CLASSES)
    if not played.needs_labels:
        return
    if not classes:
        raise UsageError(
            "--game=objective=multi and --game=class_features=... need labels, "
            f"and {dataset!r} has none. Give "
            "--game=objective=binary,class_features=0."
        )
    if batch < classes and not played.memory:
        raise UsageError(
            f"--batch_size={batch} is below the number of classes, {classes}: "
            "a game with labels needs several images of most classes in a "
            "batch, or a memory, as --game=memory=0.99."
        )
