"""The card of an exported model: what it is, and how to use it."""

import collections.abc
import html
import pathlib
import re

import keras
import numpy as np
import tensorflow as tf

from keras_csc.data.images import MAX_PIXELS
from keras_csc.export.signatures import MOST_PIXELS
from keras_csc.html import template
from keras_csc.models import presets
from keras_csc.presets import PresetModel
from keras_csc.presets import places

# tests/export/test_signatures.py exports with operations of this version only.
OLDEST = "2.18"
# What Markdown reads as more than text, and the end of a cell. An underscore
# within a word is text.
MARKUP = re.compile(r"[\\`*\[\]|]|(?<![^\W_])_|_(?![^\W_])")
LEARNED = ("kernel", "bias", "gamma", "beta")
MOST_ITEMS = 20  # of a list in a cell
CARD = "card"  # key of its facts in a preset's `metadata.json`
# What a card says of each class: what it is, and how it is called.
ABOUT = {
    "ClosedLoopAutoencoder": (
        "An autoencoder of images by convolutional sparse coding, with the "
        "architecture of CSC-CTRL",
        "regenerated = model(images)  # in [-1, 1]: pixels / 127.5 - 1",
    ),
    "SparseDenoiser": (
        "A denoiser of photographs by unrolled convolutional sparse coding",
        "denoised = model((images, deviations))  # all in units of [0, 1]",
    ),
    "SparseFeatures": (
        "Features of images by sparse codes of their patches",
        "features = model(images)  # in [-1, 1]: pixels / 127.5 - 1",
    ),
}


def model_card(model, name, version, signatures, sections):
    """Text of a model's card, in Markdown.

    `version` is `None` for a preset. `signatures` are the loaded SavedModel's;
    `sections` has texts, lists, or dicts of facts, by title.
    """
    order = sorted(signatures, key=lambda name: (name[0] != "s", name))
    specs = {
        key: (
            signatures[key].structured_input_signature[1],
            signatures[key].structured_outputs,
        )
        for key in order
    }
    encoder, kind = getattr(model, "encoder", None), type(model)
    about, call = ABOUT[kind.__name__]
    text = template("card.md").render(
        about=about,
        call=call,
        kind=kind,
        shape=getattr(encoder or model, "image_shape", (64, 64, 3)),
        of_any_size=kind.__name__ == "SparseDenoiser",
        encoder=encoder,
        name=name,
        version=version,
        versions=(tf.__version__, keras.__version__),
        architecture=flat(_architecture(model)),
        sections=[
            (
                f"{title[:1].upper()}{title[1:]}".replace("_", " "),
                _content(each),
            )
            for title, each in sections.items()
        ],
        signatures=[(key, *map(_tensors, pair)) for key, pair in specs.items()],
        names=order,
        tensors={
            key for pair in specs.values() for each in pair for key in each
        },
        literal=_literal,
        oldest=OLDEST,
        most_pixels=MAX_PIXELS,
        most_map_pixels=MOST_PIXELS,
    )
    return text.strip("\n") + "\n"


def export_preset(model, folder, card=None):
    """Writes a model as a folder for `from_preset`, to be shared.

    It writes what `save_to_preset` writes, and a `README.md` that says what the
    model is. `metadata.json` has the card's contents as data, so that a
    SavedModel of the preset can repeat them.

    Args:
        model: as in `export_saved_model`.
        folder: path of a folder that does not exist; its name is the model's.
        card: as in `export_saved_model`.

    Returns:
        `pathlib.Path` of the folder.

    Raises:
        ValueError: as in `save_to_preset`.
        OSError: if it can't be written.
    """
    folder, card = pathlib.Path(folder).absolute(), card or {}
    text = model_card(model, folder.name, None, {}, card)
    model.save_to_preset(folder, about={CARD: card}, card=text)
    return folder


def card_of(preset):
    """What the card of a preset says, a dict; see `export_preset`."""
    if str(preset) in presets.PRESETS:
        return {}
    found = places.find(preset, PresetModel, presets.names()).metadata.get(CARD)
    return found if isinstance(found, dict) else {}


def _architecture(model):
    if not hasattr(model, "encoder"):
        about = {"parameters": f"{model.count_params():,}"}
        about["dtype policy"] = model.dtype_policy.name
        return {**model.preset_config(), **about}
    encoder = model.encoder
    return {
        **presets.model_config(model),
        "encoder parameters": parameter_count(encoder),
        "decoder parameters": parameter_count(model.decoder),
        "dtype policy": encoder.dtype_policy.name,
    }


def parameter_count(network):
    """The number of weights as text: frozen ones too, but no statistics."""
    count = sum(
        int(np.prod(weight.shape))
        for weight in network.weights
        if weight.trainable or weight.name in LEARNED or "gain" in weight.name
    )
    return f"{count:,}"


def _content(content):
    if isinstance(content, collections.abc.Mapping):
        return {"facts": flat(content)}
    if isinstance(content, (list, tuple)):
        return [_text(item).replace("|", r"\|") for item in content]
    return str(content)


def flat(facts, prefix=""):
    """Yields `(key, value)` of nested dicts and lists of dicts.

    Keys are such as `"outer: 1: inner"`. A value of `None` is left out.
    """
    for key, value in facts.items():
        if (
            isinstance(value, (list, tuple))
            and value
            and all(isinstance(item, collections.abc.Mapping) for item in value)
        ):
            value = dict(enumerate(value, start=1))
        if isinstance(value, collections.abc.Mapping):
            yield from flat(value, f"{prefix}{key}: ")
        elif value is not None:
            yield f"{prefix}{key}", value


def _text(value):
    if isinstance(value, float):
        value = f"{value:.6g}"
    elif isinstance(value, (list, tuple)):
        shown = [_text(item) for item in value[:MOST_ITEMS]]
        if len(value) > MOST_ITEMS:
            shown.append(f"... {len(value)} in all")
        return ", ".join(shown) or "none"
    return " ".join(str(value).split())


def _literal(value):
    """Markdown of a cell that shows a text as it is, such as a class's name."""
    return MARKUP.sub(r"\\\g<0>", html.escape(_text(value), quote=False))


def _tensors(specs):
    """Names, shapes and types of the tensors of a signature."""
    return [
        f"`{key}` ({', '.join(_sizes(spec))}) {spec.dtype.name}"
        for key, spec in sorted(specs.items())
    ]


def _sizes(spec):
    free = iter(("batch", "height", "width"))
    return [next(free) if n is None else str(n) for n in spec.shape]
