"""Data, model and optimizers of a run, from its options."""

import math
import os

from keras_csc_cli.command_line import UsageError
from keras_csc_cli.command_line import usage_errors

import keras

from keras_csc import data
from keras_csc import optimizers
from keras_csc.losses import TranscriptionGame
from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.models import presets
from keras_csc.models.architecture import weight_shapes

OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "lamb": keras.optimizers.Lamb,
    "muon": optimizers.DictionaryMuon,
}
BYTES_OF_WEIGHT = 16  # with its gradient and two moments
TRAINING_METRICS = ("stages", "classes", "classifier")
ARCHITECTURE = [name for name in presets.DEFAULTS if name != "image_shape"]


def architecture(options):
    """The entries of the preset that the options replace."""
    chosen = {
        name: getattr(options, name)
        for name in ARCHITECTURE
        if getattr(options, name) is not None
    }
    for name, number in (("filters", int), ("sparsity", float)):
        if name in chosen:
            chosen[name] = [number(word) for word in chosen[name]]
    if len(chosen.get("sparsity", ())) == 1:
        (chosen["sparsity"],) = chosen["sparsity"]
    return chosen


def check(options):
    """Checks what no part can check alone.

    Raises:
        UsageError: for options that are missing or do not go together.
    """
    for name in ("dataset", "preset", "steps"):
        if getattr(options, name) is None:
            raise UsageError(
                f"--{name} is missing. Give it, or a --flagfile that does."
            )
    for name in ("principal_images", "patch_images"):
        if getattr(options, name) and presets.is_folder(options.preset):
            raise UsageError(
                f"--{name} would replace weights of --preset="
                f"{options.preset}. Leave one of them out."
            )
    side = min(image_shape(options)[:2])
    if options.random_shift >= side:
        raise UsageError(
            f"--random_shift={options.random_shift} must be below the sides "
            f"of the images, {side}."
        )
    if options.encoder_steps > 1 and options.update == "simultaneous":
        raise UsageError("--encoder_steps goes with --update=alternating.")
    if options.keep_best and not options.checkpoint_every:
        raise UsageError(
            "--keep_best measures every --checkpoint_every steps. Give both."
        )
    check_metrics(options.metrics, TRAINING_METRICS)
    with usage_errors():
        config = presets.config(options.preset, **architecture(options))
    if options.dictionary and config["network"] == "conv":
        raise UsageError(
            "--dictionary needs sparse codes, which --network=conv has not. "
            "Give --dictionary=0."
        )
    check_size(config)


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
            f"for {most:,}. Choose smaller --filters, --feature_dim or "
            "--kernel_size."
        )


def memory():
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_metrics(names, known):
    """Checks the names that `--metrics` is given.

    Raises:
        UsageError: for one that is not known.
    """
    for name in names:
        if name not in known:
            raise UsageError(
                f"--metrics has no {name!r}. It has {', '.join(known)}."
            )


def image_shape(options):
    """Shape of the preset's images."""
    with usage_errors():
        return tuple(presets.config(options.preset)["image_shape"])


def source(options, split):
    """Opens a split of the options' data set."""
    return data.open_dataset(
        options.dataset,
        split,
        image_shape(options),
        data_dir=options.data_dir,
        validation_fraction=options.validation_fraction,
        download=options.download,
        random_crop=options.random_crop and split == "train",
    )


def check_batches(options, train, replicas):
    """Checks that the batch suits the devices, the data and the objective.

    Raises:
        UsageError: if it does not.
    """
    batch = options.batch_size
    if batch % replicas:
        raise UsageError(
            f"--batch_size={batch} is not divisible by the {replicas} "
            f"replicas of --strategy={options.strategy}."
        )
    if batch > train.size:
        raise UsageError(
            f"--batch_size={batch} is above the {train.size} training images "
            f"of {options.dataset!r}."
        )
    features = (
        options.feature_dim or presets.config(options.preset)["feature_dim"]
    )
    if 0 < min(options.principal_images, train.size) < features:
        raise UsageError(
            f"--principal_images={options.principal_images} must be at least "
            f"the number of features, {features}, of {train.size} training "
            "images."
        )
    if {"classes", "classifier"} & set(options.metrics):
        check_classes(options, train)
    if not needs_labels(options):
        return
    if not train.num_classes:
        raise UsageError(
            f"--objective=multi and --class_features need labels, and "
            f"{options.dataset!r} has none. Use --objective=binary and "
            "--class_features=0."
        )
    if options.class_features > features:
        raise UsageError(
            f"--class_features={options.class_features} are a part of the "
            f"features, which are {features}."
        )
    if options.memory:
        return
    if batch < train.num_classes:
        raise UsageError(
            f"--batch_size={batch} is below the number of classes, "
            f"{train.num_classes}: --objective=multi needs several images of "
            "most classes in a batch."
        )


def check_classes(options, train):
    """Checks that the data have the labels that a classifier learns.

    Raises:
        UsageError: if they have not.
    """
    if not train.num_classes or train.num_classes < 2:
        raise UsageError(
            "--metrics=classes and --metrics=classifier need labels of two "
            f"classes or more, and {options.dataset!r} has "
            f"{train.num_classes or 'none'}."
        )


def needs_labels(options):
    """Whether the game of the options is played on labelled images."""
    return options.objective == "multi" or options.class_features > 0


def game(options, num_classes):
    """The `TranscriptionGame` of the options."""
    names = TranscriptionGame().get_config()
    names.pop("num_classes")
    with usage_errors():
        return TranscriptionGame(
            num_classes=num_classes if needs_labels(options) else None,
            **{name: getattr(options, name) for name in names},
        )


def model(options, num_classes, make=ClosedLoopAutoencoder.from_preset):
    """The compiled autoencoder of the options.

    Args:
        options: of the run.
        num_classes: int, or `None` without labels.
        make: what makes it of a preset, a dtype policy and entries of the
            preset to replace.
    """
    with usage_errors():
        autoencoder = make(
            options.preset, dtype=options.dtype_policy, **architecture(options)
        )
    autoencoder.compile(
        encoder_optimizer=optimizer(
            options, options.encoder_learning_rate, options.encoder_steps
        ),
        decoder_optimizer=optimizer(options, options.decoder_learning_rate),
        game=game(options, num_classes),
        update=options.update,
        encoder_steps=options.encoder_steps,
        gradient_norms=options.gradient_norms,
        jit_compile=False,
    )
    return autoencoder


def optimizer(options, learning_rate, updates=1):
    """An optimizer with the options' schedule, of `updates` a step."""
    return OPTIMIZERS[options.optimizer](
        schedule(
            options.schedule,
            learning_rate,
            options.steps * updates,
            options.warmup_steps * updates,
        ),
        beta_1=options.beta_1,
        beta_2=options.beta_2,
        use_ema=options.ema_momentum is not None,
        ema_momentum=options.ema_momentum or 0.0,
    )


def schedule(name, learning_rate, updates, warmup=0):
    """A learning rate, or a Keras schedule of it over so many updates."""
    if warmup and (name != "cosine" or warmup >= updates):
        raise UsageError(
            "--warmup_steps goes with --schedule=cosine and must be below "
            "--steps."
        )
    schedules = keras.optimizers.schedules
    if name == "cosine":
        return schedules.CosineDecay(
            0.0 if warmup else learning_rate,
            updates - warmup,
            warmup_target=learning_rate if warmup else None,
            warmup_steps=warmup,
        )
    if name == "linear":
        return schedules.PolynomialDecay(learning_rate, updates, 0.0)
    return learning_rate
