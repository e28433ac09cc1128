"""Named architectures, and folders that hold a trained one."""

import difflib
import inspect
import os
import pathlib

import keras
import numpy as np

from keras_csc.advice import AdvisedError
from keras_csc.files import new_folder
from keras_csc.generation import FeatureDensity
from keras_csc.generation.density import array_shapes
from keras_csc.models import hub
from keras_csc.models import preset_folder
from keras_csc.models.architecture import weight_shapes
from keras_csc.models.conv_decoder import ConvDecoder
from keras_csc.models.conv_encoder import ConvEncoder
from keras_csc.models.decoder import Decoder
from keras_csc.models.encoder import Encoder
from keras_csc.models.freezing import FROZEN
from keras_csc.models.preset_folder import CONFIG_FILE
from keras_csc.models.preset_folder import LONGEST_JSON
from keras_csc.models.preset_folder import METADATA_FILE
from keras_csc.models.preset_folder import WEIGHTS_FILE
from keras_csc.models.staged_encoder import StagedEncoder
from keras_csc.models.weights_file import check_shapes
from keras_csc.models.weights_file import check_size
from keras_csc.models.weights_file import largest
from keras_csc.validation import check_choice
from keras_csc.validation import shown


def _preset(image_shape, filters, sparsity, **config):
    """Architecture of the recipe's layers.

    Codes are signed, solved by five steps, and handed on in their parts. The
    first dictionary has as many atoms as a patch has numbers, so that it can
    begin as every principal component. `λ` of the stages above the first is
    in units of their input's deviation.
    """
    return {
        "image_shape": image_shape,
        "filters": filters,
        "sparsity": sparsity,
        "iterations": 5,
        **config,
    }


COLOUR = (0.05, 0.2, 0.2)
PHOTOGRAPH = (0.02, 0.1, 0.1)


def _unlabelled(*arguments, **config):
    """A preset of images without labels: nothing else keeps codes sparse."""
    return _preset(*arguments, normalization_offset=False, **config)


def _of_photographs(feature_dim, stages):
    """A preset of maps, with features for `2**stages` pixels a side."""
    preset = _unlabelled(
        (64, 64, 3), (48, 64, 64)[:stages], PHOTOGRAPH[:stages]
    )
    return {**preset, "feature_dim": feature_dim, "features": "map"}


GREY_32 = _preset((32, 32, 1), (16, 64, 64), (0.1, 0.2, 0.2), rectified=True)
COLOUR_128 = _unlabelled(
    (128, 128, 3), (48, 64, 128, 256, 512), (*COLOUR, 0.2, 0.2), rectified=True
)
PHOTOGRAPHS = _of_photographs(16, 3)

PRESETS = {
    "digits": _preset((16, 16, 1), (16, 64), (0.1, 0.3), feature_dim=64),
    "mnist": GREY_32,
    "fashion_mnist": GREY_32,
    "cifar10": _preset((32, 32, 3), (48, 64, 64), COLOUR, rectified=True),
    "cifar10_unlabelled": _unlabelled(
        (32, 32, 3), (48, 64, 64), COLOUR, rectified=True
    ),
    "photographs": PHOTOGRAPHS,
    "photographs_32": _of_photographs(32, 3),
    "photographs_fine": _of_photographs(16, 2),
    "stl10": _unlabelled(
        (48, 48, 3), (48, 64, 128, 256), (*COLOUR, 0.2), rectified=True
    ),
    "imagenet": _preset(
        (64, 64, 3), (48, 64, 128, 256), (*COLOUR, 0.2), rectified=True
    ),
    "imagenet_maps": PHOTOGRAPHS,
    "celeb_a": COLOUR_128,
    "lsun_bedroom": COLOUR_128,
}


def _arguments(model_class):
    """The arguments that a class has defaults for, and these."""
    parameters = inspect.signature(model_class.__init__).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


# What an entry is where neither a preset nor a folder says it.
DEFAULTS = {
    "network": "csc",
    **_arguments(Encoder),
    **_arguments(Decoder),
}
TRAINED = pathlib.Path(__file__).parent / "trained"
NETWORKS = {
    "csc": (Encoder, Decoder),
    "conv": (ConvEncoder, ConvDecoder),
}


def names():
    """Names of the presets, of architectures and of trained models."""
    return sorted([*PRESETS, *trained_names()])


def trained_names():
    """Names of the trained models that come with the package."""
    return sorted(path.parent.name for path in TRAINED.glob(f"*/{CONFIG_FILE}"))


def has_weights(preset):
    """Whether `preset` names trained weights, not an architecture alone."""
    return hub.is_uri(preset) or _folder(preset) is not None


def is_there(preset):
    """Whether `preset` is a name, a folder or a URI, which may be none."""
    return preset in PRESETS or has_weights(preset)


def _folder(preset):
    """The folder of trained weights on this machine, or `None`."""
    if str(preset) in trained_names():
        return TRAINED / preset
    folder = pathlib.Path(preset)
    return folder if str(preset) not in PRESETS and folder.is_dir() else None


def local_folder(preset):
    """The folder of a preset on this machine.

    A preset of a hub is downloaded into the cache of the hub's library, but
    for its weights, whose size must be known before.

    Args:
        preset: name of a preset, a folder that `save` wrote, or the URI of
            one on a hub.

    Returns:
        `pathlib.Path`; `None` for a preset that is an architecture alone.

    Raises:
        ValueError: for an unknown preset, a URI that is none, or a folder with
            unexpected files.
        OSError: if it can't be downloaded.
    """
    if not isinstance(preset, (str, os.PathLike)):
        raise ValueError(
            "`preset` must be the name of a preset, a folder or the URI of a "
            f"hub. Received: {shown(preset)}"
        )
    if hub.is_uri(preset):
        sizes = {CONFIG_FILE: LONGEST_JSON, METADATA_FILE: LONGEST_JSON}
        return hub.download(preset, sizes)
    folder = _folder(preset)
    if folder is not None:
        preset_folder.check_others(folder)
        return folder
    if preset in PRESETS:
        return None
    close = difflib.get_close_matches(str(preset), names(), n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(
        f"Unknown preset {preset!r}: neither a folder, nor a URI such as "
        f"hf://OWNER/NAME, nor one of {', '.join(names())}.{hint}"
    )


def config(preset, **overrides):
    """Architecture of a preset, with overrides.

    Args:
        preset: name of a preset, a folder that `save` wrote, or the URI of
            one on a hub.
        **overrides: entries to replace. `filters` of another number of stages
            take the preset's `sparsity` with them, the last one repeated.

    Returns:
        Dict with the keys of `DEFAULTS`.

    Raises:
        ValueError: for an unknown preset or entry.
        OSError: if it can't be downloaded.
    """
    return _config(preset, local_folder(preset), overrides)


def _config(preset, folder, overrides):
    if folder is None:
        found = PRESETS[preset]
    else:
        found = preset_folder.architecture(folder)
    result = {**DEFAULTS, **found, **overrides}
    if "filters" in overrides and "sparsity" not in overrides:
        stages = len(result["filters"])
        result["sparsity"] = _for_stages(result["sparsity"], stages)
    unknown = sorted(set(result) - set(DEFAULTS))
    if unknown:
        raise ValueError(
            f"Unknown entries {unknown} of preset {preset!r}. "
            f"Expected: {', '.join(DEFAULTS)}"
        )
    check_choice(NETWORKS, network=result["network"])
    return result


def _for_stages(sparsity, stages):
    """A preset's `λ` for so many stages: cut, or the last one repeated."""
    if isinstance(sparsity, (int, float)):
        return sparsity
    return tuple([*sparsity, *sparsity[-1:] * stages][:stages])


def players(config, **kwargs):
    """Makes the encoder and the decoder of a `config`.

    An encoder without sparse codes leaves out what is for those.
    """
    encoder_class, decoder_class = NETWORKS[config["network"]]
    try:
        encoder = encoder_class(**encoder_arguments(config), **kwargs)
        arguments = (encoder,) if encoder.sparse else ()
        own = _part(config, decoder_class)
        return encoder, decoder_class(*arguments, **own, **kwargs)
    except TypeError as error:
        raise ValueError(
            f"An entry of the preset has a wrong type: {error}. "
            f"Received: {shown(config)}"
        ) from error


def encoder_arguments(config):
    """The entries of a `config` that are for its encoder."""
    sparse = NETWORKS[config["network"]][0].sparse
    return _part(config, Encoder if sparse else StagedEncoder)


def _part(config, model_class):
    """The entries of a `config` that are arguments of a class."""
    return {name: config[name] for name in _arguments(model_class)}


def from_config(model_class, config):
    """Makes a model, without its weights, of what `config.json` holds."""
    config = {**DEFAULTS, **config}
    density = config.pop(preset_folder.DENSITY, None)
    if density is not None:
        density = FeatureDensity.from_config(density)
    return model_class(*players(config), density=density)


def load(model_class, preset, load_weights=True, dtype=None, **overrides):
    """Makes a `model_class(encoder, decoder)` from a preset; see there."""
    folder = local_folder(preset)
    if load_weights and folder is None:
        raise _without_weights(preset)
    found = _config(preset, folder, overrides)
    encoder, decoder = players(found, dtype=dtype)
    model = model_class(encoder, decoder, dtype=dtype)
    if not load_weights:
        model.make_weights()
        return model
    own = _config(preset, folder, {})
    _check_own(preset, own, found, overrides)
    density = preset_folder.density(folder)
    shapes = weight_shapes(found) + _density_shapes(density)
    if hub.is_uri(preset):
        hub.download(preset, {WEIGHTS_FILE: largest(shapes)}, folder)
    check_size(folder / WEIGHTS_FILE, shapes)
    preset_folder.check_digest(folder, WEIGHTS_FILE)
    check_shapes(folder / WEIGHTS_FILE, shapes)
    model.make_weights()
    if density is not None:
        model.density = FeatureDensity.from_config(density)
    _load_weights(model, folder / WEIGHTS_FILE)
    if not _is_same(own, found):
        model.density = None
    return model


def _without_weights(preset):
    return AdvisedError(
        f"The preset {preset!r} is an architecture without trained weights. "
        f"Train it with `keras-csc train --flagfile={preset}.flags "
        "--workdir=FOLDER` and give FOLDER/model, or choose a trained one: "
        f"{', '.join(trained_names())}.",
        "load_weights",
        "Or pass load_weights=False for first weights to train.",
    )


def _check_own(preset, own, found, overrides):
    """Raises `AdvisedError` for overrides that a preset's weights do not fit.

    Those of other numbers, as of `sparsity`, leave the weights as they are.
    """
    if not overrides:
        return
    try:
        same = weight_shapes(own) == weight_shapes(found)
    except TypeError as error:
        raise ValueError(
            f"An entry of the preset has a wrong type: {error}. "
            f"Received: {shown(own)}"
        ) from error
    if not same:
        given = ", ".join(
            f"{name}={shown(overrides[name])}" for name in overrides
        )
        raise AdvisedError(
            f"The preset {str(preset)!r} has the weights of its own "
            f"architecture, and not of the one that was given: {given}.",
            "architecture",
            "Leave that out, or pass load_weights=False for first weights to "
            "train.",
        )


def _is_same(own, found):
    """Whether a `config` has the entries of another, in lists or tuples."""

    def listed(value):
        return list(value) if isinstance(value, (list, tuple)) else value

    return all(listed(own[name]) == listed(found[name]) for name in DEFAULTS)


def _density_shapes(config):
    """Shapes of the arrays of a folder's density; none of `None`."""
    if config is None:
        return []
    try:
        return list(array_shapes(**config).values())
    except TypeError as error:
        raise ValueError(
            f"{preset_folder.DENSITY!r} of a preset must be the configuration "
            f"of a `FeatureDensity`. Received: {shown(config)}"
        ) from error


def _load_weights(model, path):
    try:
        model.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"{str(path)!r} does not hold the weights of the preset's "
            f"architecture, or is damaged: {error}"
        ) from error
    for weight in model.weights:
        if not np.all(np.isfinite(keras.ops.convert_to_numpy(weight))):
            raise ValueError(
                f"{str(path)!r} holds a weight that is not finite: "
                f"{weight.path}."
            )


def save(model, folder, half=False, about=None, card=None):
    """Writes a folder; see `save_to_preset`."""
    lost = beside_config(model)
    if lost:
        raise ValueError(
            "A preset holds the arguments of an encoder and its decoder, which "
            f"would not make this model again: {'; '.join(lost)}. Keep classes "
            'and decoders of your own with `model.save("NAME.keras")`; give '
            "what was set in a layer as an argument of the encoder."
        )
    with new_folder(folder) as temporary:
        architecture = model_config(model)
        preset_folder.write(temporary, model, architecture, half, about)
        if card is not None:
            path = temporary / preset_folder.CARD_FILE
            path.write_text(card, encoding="utf-8")


def model_config(model):
    """The `config` that makes a model's architecture again."""
    arguments = {
        **DEFAULTS,
        **model.decoder.get_config(),
        **model.encoder.get_config(),
        "network": "csc" if model.encoder.sparse else "conv",
    }
    return {name: arguments[name] for name in DEFAULTS}


def beside_config(model):
    """What a model has that its `model_config` does not make again.

    Args:
        model: `ClosedLoopAutoencoder`.

    Returns:
        List of texts, empty of a model that a preset can hold.
    """
    config = model_config(model)
    pairs = {"encoder": model.encoder, "decoder": model.decoder}
    classes = NETWORKS[config["network"]]
    found = [
        f"the {name} is a {type(player).__name__}"
        for (name, player), expected in zip(pairs.items(), classes)
        if type(player) is not expected
    ]
    if found:
        return found
    for (name, player), plain in zip(pairs.items(), players(config)):
        settings = _other_settings(name, player, plain)
        # Those of layers follow; a mirror's are of the encoder's layers.
        if not settings and not isinstance(player, Decoder):
            for layer, other in zip(player.layers, plain.layers):
                settings += _other_settings(
                    f"{name}.{layer.name}", layer, other
                )
        found += settings
    return found


def _other_settings(name, layer, plain):
    """Settings of a layer that are not those of another, a list of texts."""
    expected = plain.get_config()
    return [
        f"{name}.{key} is {shown(value)}"
        for key, value in layer.get_config().items()
        if _matters(key) and value != expected.get(key)
    ]


def _matters(key):
    """Whether a preset keeps a setting: no names, types and first values."""
    left_out = ("name", "dtype", "trainable", "encoder", FROZEN)
    return key not in left_out and not key.endswith("_initializer")
