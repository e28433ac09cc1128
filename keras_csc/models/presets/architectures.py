"""Architectures by name, as data, and the networks that they describe."""

from keras_csc.models.decoder import Decoder
from keras_csc.models.encoder import Encoder
from keras_csc.models.player import defaults_of


def _of_blocks(image_shape, filters, **config):
    """Architecture of one feature vector an image, of atoms apart.

    Each stage has atoms as large as its stride; in the first stage they have
    4×4 pixels. A stage has at most as many atoms as a patch has numbers. So
    tight frames are orthonormal, and one solver step solves each program. Above
    the first stage the unit of `λ` is the deviation of the stage's input.
    """
    sides = (4, *(2,) * (len(filters) - 1))
    return {
        "image_shape": image_shape,
        "filters": filters,
        "kernel_size": sides,
        "strides": sides,
        "sparsity": (0.05, *(0.1,) * (len(filters) - 1)),
        "iterations": 1,
        "lapped": True,
        "rectified": True,
        **config,
    }


GREY_32 = _of_blocks((32, 32, 1), (16, 64, 128), sparsity=(0.02, 0.05, 0.05))
COLOUR_128 = _of_blocks((128, 128, 3), (48, 128, 128, 256, 512))
# Of maps: one stage of lapped atoms, and features of blocks.
PHOTOGRAPHS = {
    "image_shape": (64, 64, 3),
    "filters": (192,),
    "feature_dim": 16,
    "kernel_size": (8,),
    "strides": (8,),
    "sparsity": (0.01,),
    "iterations": 1,
    "lapped": True,
    "features": "map",
}

PRESETS = {
    "digits": _of_blocks(
        (16, 16, 1),
        (16, 64),
        feature_dim=64,
        sparsity=(0.1, 0.5),
    ),
    "mnist": GREY_32,
    "fashion_mnist": GREY_32,
    "cifar10": _of_blocks((32, 32, 3), (48, 128, 128)),
    "photographs": PHOTOGRAPHS,
    "stl10": _of_blocks((48, 48, 3), (48, 128, 256)),
    "imagenet": _of_blocks((64, 64, 3), (48, 128, 128, 256)),
    "imagenet_maps": PHOTOGRAPHS,
    "celeb_a": COLOUR_128,
    "lsun_bedroom": COLOUR_128,
}

# What an entry is where neither a preset nor a folder says it.
DEFAULTS = {**defaults_of(Encoder), **defaults_of(Decoder)}


def completed(entries, **overrides):
    """The `config` of some entries: overrides before them, then `DEFAULTS`.

    If `filters` have another number of stages, entries with a number for each
    stage follow: they are cut, or their last number is repeated.

    Raises:
        ValueError: for an unknown entry.
    """
    config = {**DEFAULTS, **entries, **overrides}
    unknown = sorted(set(config) - set(DEFAULTS))
    if unknown:
        raise ValueError(
            f"An architecture has no entries {unknown}. "
            f"Expected: {', '.join(DEFAULTS)}. A preset of an earlier version "
            "is of another network: train the model again."
        )
    if isinstance(overrides.get("filters"), (list, tuple)):
        stages = len(overrides["filters"])
        for name in {"kernel_size", "strides", "sparsity", "zeros"} - set(
            overrides
        ):
            if isinstance(config[name], (list, tuple)):
                several = (*config[name], *config[name][-1:] * stages)
                config[name] = several[:stages]
    return config


def players(config, **kwargs):
    """Makes the encoder and the decoder of a `config`."""
    encoder = Encoder(**arguments_of(Encoder, config), **kwargs)
    return encoder, Decoder(encoder, **arguments_of(Decoder, config), **kwargs)


def arguments_of(network_class, config):
    """The entries of a `config` that are arguments of a class."""
    return {name: config[name] for name in defaults_of(network_class)}


def model_config(model):
    """The `config` that makes a model's architecture again."""
    arguments = {**model.decoder.get_config(), **model.encoder.get_config()}
    return {name: arguments[name] for name in DEFAULTS}
