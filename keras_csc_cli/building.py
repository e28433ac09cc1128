"""Model, game and optimizers of a run, from its options."""

from keras_csc_cli import processor
from keras_csc_cli.command_line import usage_errors
from keras_csc_cli.missing import check_trained

import keras
import tensorflow as tf

from keras_csc import optimizers
from keras_csc.losses import TranscriptionGame
from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.models import presets

OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
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
        # Over several devices they would cost a second sum of the gradients.
        gradient_norms=tf.distribute.get_strategy().num_replicas_in_sync == 1,
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
    name, _, betas = options.optimizer.partition(":")
    beta_1, beta_2 = map(float, betas.split(","))
    return OPTIMIZERS[name](
        schedule(options.schedule, learning_rate, options.steps * updates),
        beta_1=beta_1,
        beta_2=beta_2,
    )


def schedule(name, learning_rate, updates):
    """A learning rate, or a Keras schedule of it over so many updates."""
    schedules = keras.optimizers.schedules
    if name == "cosine":
        return schedules.CosineDecay(learning_rate, updates)
    if name == "linear":
        return schedules.PolynomialDecay(learning_rate, updates, 0.0)
    return learning_rate
