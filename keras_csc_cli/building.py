"""Model, game and optimizers of a run, from its options."""

from keras_csc_cli import processor
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.command_line import usage_errors
from keras_csc_cli.missing import check_trained

import keras

from keras_csc import optimizers
from keras_csc.losses import TranscriptionGame
from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.models import presets

OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "lamb": keras.optimizers.Lamb,
    "muon": optimizers.DictionaryMuon,
}


def image_shape(preset):
    """Shape of a preset's images."""
    with usage_errors():
        return tuple(presets.config(preset)["image_shape"])


def game(arguments, num_classes):
    """The `TranscriptionGame` of `--game`.

    Args:
        arguments: dict of what was given.
        num_classes: int, or `None` without labels.
    """
    with usage_errors():
        return TranscriptionGame(num_classes=num_classes, **arguments)


def network(options, make=ClosedLoopAutoencoder.from_preset):
    """The autoencoder of the options, not compiled.

    Args:
        options: of the run.
        make: what makes it of a preset, whether to load its weights, a dtype
            policy and entries of the preset to replace.
    """
    with usage_errors():
        return make(
            options.preset,
            load_weights=presets.has_weights(options.preset),
            dtype=processor.dtype_policy(options.dtype_policy),
            **options.architecture,
        )


def model(options, num_classes, make=ClosedLoopAutoencoder.from_preset):
    """The compiled autoencoder of the options.

    Args:
        options: of the run.
        num_classes: int, or `None` without labels.
        make: as of `network`.
    """
    autoencoder = network(options, make)
    if options.freeze_normalizations:
        autoencoder.freeze_normalizations()
    rate, decoder_rate = options.learning_rate, options.decoder_learning_rate
    alternating = decoder_rate is not None
    autoencoder.compile(
        optimizer(options, rate, 1 + options.inner_step),
        optimizer(options, decoder_rate) if alternating else None,
        game=game(options.game, num_classes),
        inner_step=options.inner_step,
        jit_compile=False,
    )
    return autoencoder


def trained_model(folder):
    """The model that a finished run saved in its folder.

    Raises:
        UsageError: if there is none, or it can't be read.
    """
    check_trained(folder)
    with usage_errors():
        return ClosedLoopAutoencoder.from_preset(folder / "model")


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
