"""The card of an exported model: what it is, and how to use it."""

import collections.abc
import html
import re

import keras
import numpy as np
import tensorflow as tf

from keras_csc.data.decoding import MAX_PIXELS
from keras_csc.export.files import MOST_PIXELS
from keras_csc.export.requests import requests
from keras_csc.models import presets

# tests/export/test_operations.py exports with operations of this one only.
OLDEST = "2.18"
# What Markdown reads as more than text; of a cell also its end. An underscore
# within a word is one.
MARKUP = re.compile(r"[\\`*\[\]|]|(?<![^\W_])_|_(?![^\W_])")
LEARNED = ("kernel", "bias", "gamma", "beta")
PROGRAM = ("sparsity", "nonnegative", "iterations")

MEANINGS = {
    "image": "in [-1, 1]: `pixels / 127.5 - 1`",
    "reconstruction": "the regenerated image, in [-1, 1]",
    "features": "vectors of norm 1",
    "sparsity": "the weight λ ≥ 0 of the first stage, for every image",
    "embedding": "features less their mean, of norm 1",
    "label": "class of the image to make, -1 for any",
    "seed": "number of at least 0, for every image or one for all",
    "sample": "image made at random, in [-1, 1]; that of its label and seed, "
    "and of its row where one seed is for all",
    "denoised": "the image regenerated from its codes at that λ, in [-1, 1]",
    "image_bytes": (
        "JPEG (also CMYK), PNG (also of 16 bits), GIF (first frame), BMP (8, "
        "24 or 32 bits a pixel) or, with TensorFlow 2.21, WebP (still) files; "
        "base64 in TF Serving"
    ),
    "reconstruction_bytes": "PNG files; base64 in TF Serving",
    "valid": "whether the file could be read; if not, its output is 0 or empty",
    "problem": "what is wrong with a file that is not valid, else empty",
}

EXAMPLE = """\
With TensorFlow alone, from the folder that holds `{name}/`:

```python
import tensorflow as tf

model = tf.saved_model.load("{name}/{version}")
images = tf.zeros((1, {height}, {width}, {channels}))  # in [-1, 1]
features = model.signatures["encode"](image=images)["features"]
outputs = model.signatures["serving_default"](image=images)
reconstruction = outputs["reconstruction"]
```

With TensorFlow Serving (or a server with its API) of TensorFlow
{oldest} or later:

```shell
docker run -p 127.0.0.1:8500:8500 -p 127.0.0.1:8501:8501 \\
  -v "$PWD/{name}:/models/{name}" -e MODEL_NAME={name} tensorflow/serving
```
"""

PRESET_EXAMPLE = """\
```python
from keras_csc.models import ClosedLoopAutoencoder

# Or the path of this folder.
model = ClosedLoopAutoencoder.from_preset("{name}")
regenerated = model(images)  # in [-1, 1]: pixels / 127.5 - 1
```
"""

LIMITS = """\
- Images of the float signatures have exactly the size above, pixels within
  ±10.
"""

BATCHED_LIMITS = """\
- Where a server batches requests, an image or features with wrong numbers fail
  all requests of their batch.
"""

DENOISE_LIMITS = """\
- Where a server batches requests, `denoise` needs a `sparsity` for every image,
  or is refused; else one is enough for all images of a request.
"""

MAP_LIMITS = """\
- Images may have any height and width of 8 and more; all of a request have the
  same. They are coded in places of {stride}×{stride} pixels; `decode` makes
  all pixels of all places.
"""

BYTES_LIMITS = """\
- Files are prepared as `keras_csc.data` does for evaluation: resized to
  cover {height}×{width} (bilinear, antialiased) and cropped to the centre;
  those that are smaller by at most 4 pixels a side are padded with black.
  Those that would cover more than 8 times that are cropped first. They are
  converted to {colour}. Transparency and the orientation in a JPEG's metadata
  are ignored.
- A file of more than {pixels:,} pixels is refused before it is decoded.
- A file that can't be read fails no other: see `valid` and `problem`.
"""

MAP_BYTES_LIMITS = """\
- Files keep their size, of 8×8 up to {map_pixels:,} pixels. `encode_bytes`
  takes files of one size in a request. They are converted to {colour}.
  Transparency and the orientation in a JPEG's metadata are ignored.
- A file that can't be read fails no other: see `valid` and `problem`.
- Serve this model without batching, or with clients that all send images of
  one size: TensorFlow Serving can't put others into one batch, and fails all
  requests of it.
"""


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
    parts = _described(model, f"{name}, version {version}", sections)
    parts += ["## Signatures", _signature_table(signatures)]
    parts += [_tensor_list(signatures), "## Use"]
    parts += _usage(model, name, version, signatures)
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def preset_card(model, name, sections):
    """Text of the card of a preset that others are to take, in Markdown.

    Args:
        model: the `ClosedLoopAutoencoder`.
        name: of the preset.
        sections: as of `model_card`.

    Returns:
        The text.
    """
    parts = _described(model, name, sections)
    parts += ["## Use", PRESET_EXAMPLE.format(name=name)]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _described(model, title, sections):
    parts = [f"# {title}", _introduction(model)]
    parts += ["## Architecture", _table(_architecture(model))]
    for title, content in sections.items():
        title = title.replace("_", " ")
        parts.append(f"## {title[:1].upper()}{title[1:]}")
        parts.append(_content(content))
    return parts


def _introduction(model):
    kind = "A convolutional autoencoder, the baseline of CSC-CTRL"
    if model.encoder.sparse:
        kind = (
            "An autoencoder of images by convolutional sparse coding, with "
            "the architecture of CSC-CTRL"
        )
    return (
        f"{kind}. Exported by keras_csc with TensorFlow {tf.__version__} and "
        f"Keras {keras.__version__}."
    )


def _architecture(model):
    config, beside = presets.model_config(model), presets.beside_config(model)
    if not model.encoder.sparse:
        config = {
            key: value
            for key, value in config.items()
            if key not in (*PROGRAM, "rectified", "output")
        }
    return {
        **config,
        **({"but": "; ".join(beside)} if beside else {}),
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
    if isinstance(content, collections.abc.Mapping):
        return _table(content)
    if isinstance(content, (list, tuple)):
        items = [_text(item).replace("|", r"\|") for item in content]
        return "\n".join(f"- {item}" for item in items)
    return str(content)


def _table(facts):
    rows = [
        f"| {_literal(key)} | {_literal(_text(value))} |"
        for key, value in flat(facts)
    ]
    return "\n".join(["| | |", "|-|-|", *rows])


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


def _signature_table(signatures):
    rows = ["| Signature | Inputs | Outputs |", "|-|-|-|"]
    for name in sorted(signatures, key=lambda name: (name[0] != "s", name)):
        inputs, outputs = _specs(signatures[name])
        columns = [
            "<br>".join(
                f"`{key}` {_shape(spec)} {spec.dtype.name}"
                for key, spec in sorted(specs.items())
            )
            for specs in (inputs, outputs)
        ]
        rows.append(f"| `{name}` | {columns[0]} | {columns[1]} |")
    return "\n".join(rows)


def _specs(signature):
    return signature.structured_input_signature[1], signature.structured_outputs


def _shape(spec):
    free = iter(("height", "width"))
    sizes = [next(free) if n is None else str(n) for n in spec.shape[1:]]
    sizes = ["batch", *sizes]
    return f"({', '.join(sizes)})"


def _tensor_list(signatures):
    names = set()
    for signature in signatures.values():
        names.update(*_specs(signature))
    lines = [f"- `{n}`: {text}." for n, text in MEANINGS.items() if n in names]
    if "codes_1" in names:
        lines.append("- `codes_1`, ...: the sparse codes of every stage.")
    return "\n".join(lines)


def _usage(model, name, version, signatures):
    height, width, channels = model.encoder.image_shape
    values = {
        "name": name,
        "version": version,
        "height": height,
        "width": width,
        "channels": channels,
        "colour": "grey" if channels == 1 else "RGB",
        "pixels": MAX_PIXELS,
        "map_pixels": MOST_PIXELS,
        "stride": 2 ** len(model.encoder.filters),
        "oldest": OLDEST,
    }
    limits, of_files = LIMITS, BYTES_LIMITS
    if model.encoder.features == "map":
        limits, of_files = MAP_LIMITS, MAP_BYTES_LIMITS
    if "encode_bytes" in signatures:
        limits = limits + of_files
    limits += BATCHED_LIMITS
    if "denoise" in signatures:
        limits += DENOISE_LIMITS
    return [
        EXAMPLE.format(**values),
        requests(signatures, **values),
        "## Limits of the signatures",
        limits.format(**values),
    ]
