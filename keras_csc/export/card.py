"""The card of an exported model: what it is, and how to use it.

Its text is the template `card.md`; here are the facts that it is filled with.
"""

import collections.abc
import html
import pathlib
import re

import jinja2
import keras
import numpy as np
import tensorflow as tf

from keras_csc.data.decoding import MAX_PIXELS
from keras_csc.export.files import MOST_PIXELS
from keras_csc.models import preset_folder
from keras_csc.models import presets

# tests/export/test_signatures.py exports with operations of this one only.
OLDEST = "2.18"
# What Markdown reads as more than text; of a cell also its end. An underscore
# within a word is one.
MARKUP = re.compile(r"[\\`*\[\]|]|(?<![^\W_])_|_(?![^\W_])")
LEARNED = ("kernel", "bias", "gamma", "beta")
CARD = "card"  # its facts, in `metadata.json` of a preset
PROGRAM = ("sparsity", "ridge", "nonnegative", "iterations", "algorithm")


def model_card(model, name, version, signatures, sections):
    """Text of a model's card, in Markdown.

    Args:
        model: the exported `ClosedLoopAutoencoder`.
        name: its name.
        version: int.
        signatures: dict of the signatures of the loaded SavedModel.
        sections: dict from titles to texts, lists, or dicts of facts.

    Returns:
        The text.
    """
    specs = {
        signature: _specs(signatures[signature])
        for signature in sorted(signatures, key=lambda n: (n[0] != "s", n))
    }
    return _card(
        model,
        name,
        sections,
        presets.beside_config(model),
        version=version,
        signatures={
            signature: [_column(tensors) for tensors in both]
            for signature, both in specs.items()
        },
        tensors={n for both in specs.values() for each in both for n in each},
        pixels=MAX_PIXELS,
        map_pixels=MOST_PIXELS,
        oldest=OLDEST,
    )


def preset_card(model, name, sections):
    """Text of the card of a preset to share, in Markdown; see `model_card`."""
    return _card(model, name, sections)


def export_preset(model, folder, card=None):
    """Writes an autoencoder as a folder for `from_preset`, to be shared.

    As `save_to_preset`, with dictionaries in float16, and a `README.md` that
    says what the model is. `metadata.json` has what the card says as data, so
    that a SavedModel of the preset can say it again.

    Args:
        model: `ClosedLoopAutoencoder`.
        folder: path of a folder that does not exist; its name is the model's.
        card: as of `export_saved_model`.

    Returns:
        `pathlib.Path` of the folder.

    Raises:
        ValueError: as of `save_to_preset`.
        OSError: if it can't be written.
    """
    folder = pathlib.Path(folder).absolute()
    card = card or {}
    text = preset_card(model, folder.name, card)
    presets.save(model, folder, half=True, about={CARD: card}, card=text)
    return folder


def card_of(preset):
    """What the card of a preset says, a dict; see `export_preset`."""
    folder = presets.local_folder(preset)
    found = preset_folder.metadata(folder).get(CARD) if folder else None
    return found if isinstance(found, dict) else {}


def _card(model, name, sections, beside=(), **values):
    environment = jinja2.Environment(
        trim_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["facts"] = _content
    path = pathlib.Path(__file__).with_name("card.md")
    template = environment.from_string(path.read_text(encoding="utf-8"))
    return template.render(
        name=name,
        sections=sections,
        encoder=model.encoder,
        architecture=_architecture(model, beside),
        tensorflow=tf.__version__,
        keras=keras.__version__,
        **{"version": None, **values},
    )


def _architecture(model, beside):
    config = presets.model_config(model)
    if not model.encoder.sparse:
        for key in (*PROGRAM, "rectified", "output"):
            config.pop(key, None)
    return {
        **config,
        "but": "; ".join(beside) or None,
        "encoder parameters": parameter_count(model.encoder),
        "decoder parameters": parameter_count(model.decoder),
        "dtype policy": model.encoder.dtype_policy.name,
    }


def parameter_count(network):
    """Text of the number of weights, frozen ones too, but no statistics."""
    count = sum(
        int(np.prod(weight.shape))
        for weight in network.weights
        if weight.trainable or weight.name in LEARNED or "gain" in weight.name
    )
    return f"{count:,}"


def _content(content):
    """Markdown of a section: of facts a table, of a list a list."""
    if isinstance(content, collections.abc.Mapping):
        rows = [
            f"| {_literal(key)} | {_literal(_text(value))} |"
            for key, value in flat(content)
        ]
        return "\n".join(["| | |", "|-|-|", *rows])
    if isinstance(content, (list, tuple)):
        items = [_text(item).replace("|", r"\|") for item in content]
        return "\n".join(f"- {item}" for item in items)
    return str(content).strip("\n")


def flat(facts, prefix=""):
    """The entries of nested dicts and lists of them, but for what is unknown.

    Args:
        facts: dict.
        prefix: str before all keys.

    Yields:
        `(key, value)`, the keys as `"outer: 1: inner"`, no value `None`.
    """
    for key, value in facts.items():
        if _is_records(value):
            value = dict(enumerate(value, start=1))
        if isinstance(value, collections.abc.Mapping):
            yield from flat(value, f"{prefix}{key}: ")
        elif value is not None:
            yield f"{prefix}{key}", value


def _is_records(value):
    return (
        isinstance(value, (list, tuple))
        and len(value) > 0
        and all(isinstance(item, collections.abc.Mapping) for item in value)
    )


def _text(value):
    if isinstance(value, float):
        value = f"{value:.6g}"
    elif isinstance(value, (list, tuple)):
        return ", ".join(_text(item) for item in value) or "none"
    return " ".join(str(value).split())


def _literal(text):
    """Markdown of a cell that shows a text as it is, such as a class's name."""
    return MARKUP.sub(r"\\\g<0>", html.escape(text, quote=False))


def _specs(signature):
    return signature.structured_input_signature[1], signature.structured_outputs


def _column(tensors):
    return "<br>".join(
        f"`{name}` {_shape(spec)} {spec.dtype.name}"
        for name, spec in sorted(tensors.items())
    )


def _shape(spec):
    free = iter(("height", "width"))
    sizes = [next(free) if n is None else str(n) for n in spec.shape[1:]]
    return f"({', '.join(['batch', *sizes])})"
