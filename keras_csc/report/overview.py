"""What the model is, in plain words, and its figures."""

import keras
import numpy as np

from keras_csc.export.card import flat
from keras_csc.export.card import parameter_count
from keras_csc.html import element
from keras_csc.report.elements import count
from keras_csc.report.elements import folded
from keras_csc.report.elements import paragraph
from keras_csc.report.elements import percent
from keras_csc.report.elements import section
from keras_csc.report.elements import table
from keras_csc.version import __version__

LEFT_OUT = ("run", "evaluated", "network", "file", "sha256")
PARTS = ("training", "recipe")


def header(subject):
    """The title, and the model in a sentence."""
    kind = "that can be read: each one is a sum of learned atoms"
    if not subject.encoder.sparse:
        kind = "by ordinary convolutions, the baseline of CSC-CTRL"
    return element(
        "header",
        paragraph("Report of a model", class_="eyebrow"),
        element("h1", subject.name),
        paragraph(
            f"An autoencoder of {subject.noun} images {kind}.", class_="lead"
        ),
        class_="hero",
    )


def what_it_is(subject):
    """Section: the model in plain words, and its main figures."""
    return section(
        "model",
        "What it is",
        _path(subject),
        [paragraph(text) for text in _words(subject)],
        _tiles(subject),
        folded("All figures of the evaluation", table(_rows(subject.figures)))
        if subject.figures
        else None,
    )


def how_it_was_made(subject):
    """Section: the recipe, versions and limits."""
    facts = [
        ["parameters of the encoder", parameter_count(subject.encoder)],
        ["parameters of the decoder", parameter_count(subject.model.decoder)],
        ["images of this page", subject.about if subject.found else "none"],
        ["page made by", f"keras_csc {__version__}, Keras {keras.__version__}"],
    ]
    known = {
        part: subject.card[part] for part in PARTS if subject.card.get(part)
    }
    return section(
        "about",
        "How it was made",
        table(facts),
        folded(
            "The recipe, and the runs of its training",
            table(_rows(known)),
        )
        if known
        else paragraph(
            "The model has no record of its training.", class_="muted"
        ),
    )


def _path(subject):
    """The way of an image, as a row of steps."""
    encoder = subject.encoder
    height, width, channels = encoder.image_shape
    size = "any size" if subject.maps else f"{height}×{width}"
    colour = "grey" if channels == 1 else "colour"
    kind = "atoms" if encoder.sparse else "filters"
    place = 2 ** len(encoder.filters)
    each = f"every {place}×{place} pixels" if subject.maps else "an image"
    steps = [
        ("Image", f"{size}, {colour}"),
        *(
            (f"Stage {number}", f"{filters} {kind}")
            for number, filters in enumerate(encoder.filters, start=1)
        ),
        ("Features", f"{encoder.feature_dim} numbers for {each}"),
        ("Regenerated", "drawn from the features alone"),
    ]
    items = [
        element("li", element("strong", name), element("span", text))
        for name, text in steps
    ]
    return element("ol", items, class_="path", aria_label="Way of an image")


def _words(subject):
    encoder = subject.encoder
    height, width, channels = encoder.image_shape
    place = 2 ** len(encoder.filters)
    if subject.maps:
        yield (
            f"For every {place}×{place} pixels of an image, "
            f"{place * place * channels} numbers, it keeps "
            f"{encoder.feature_dim}, its features, and draws the image again "
            "from those alone. Images may have any size of 8×8 pixels and "
            "more."
        )
    else:
        yield (
            f"It turns an image, {height * width * channels:,} numbers, into "
            f"{encoder.feature_dim}, its features, and draws the image again "
            "from those alone."
        )
    if encoder.sparse:
        steps = encoder.coding_layers[0].iterations
        yield (
            "Every stage says what it is given as a sum of atoms, small "
            "patterns that it has learned. How much of an atom stands at a "
            "place is a code. Codes approach the solution of a convex program "
            f"that favours zeros, in {count(steps, 'step')}, so that few atoms "
            "are active at a place: what a picture is made of can be listed."
        )
    else:
        yield (
            "Its stages are ordinary convolutions. Nothing makes their numbers "
            "sparse, and no picture is a sum of their filters."
        )
    text = (
        "It was trained by closed-loop transcription: a game in which the "
        "encoder looks for features that tell images from regenerated ones, "
        "and the decoder for images whose features are the same. No image is "
        "compared with its regeneration pixel by pixel."
    )
    if subject.class_features:
        text += (
            f" {subject.class_features} of the features are trained to carry "
            "the class of an image; the others are free."
        )
    yield text


def _tiles(subject):
    """The main figures, each with what it says."""
    figures = _Known(subject.figures)
    tiles = [
        _tile(*found) for found in _main_figures(figures, subject) if found[0]
    ]
    if not tiles:
        return None
    return element("dl", tiles, class_="tiles")


def _tile(value, name, note=None):
    return element(
        "div",
        element("dt", name),
        element("dd", value, class_="value"),
        element("dd", note, class_="note") if note else None,
    )


def _main_figures(figures, subject):
    psnr = figures.text("psnr", "{:.1f} dB")
    if not psnr and subject.found is not None:
        psnr = f"{np.mean(subject.found.psnr):.1f} dB"
    components = figures.text("psnr_of", "pca", "{:.1f} dB")
    yield (
        psnr,
        "regenerated images: PSNR",
        components and f"as many principal components: {components}",
    )
    yield (
        figures.text("ssim", "{:.3f}"),
        "structural similarity",
        "1 is the same image",
    )
    zeros = figures.get("zero_fraction")
    if _are_numbers(zeros) and subject.encoder.sparse:
        yield ", ".join(map(percent, zeros)), "of the codes are 0", "by stage"
    part = figures.text("class_part", "nearest_subspace_accuracy", "{:.1%}")
    yield (
        figures.text("nearest_subspace_accuracy", "{:.1%}"),
        "are nearest to the subspace of their class",
        part and f"by the part for the classes alone: {part}",
    )
    yield (
        figures.text("linear_probe_accuracy", "{:.1%}"),
        "are classified by a linear probe",
        "of the features",
    )
    own = figures.text("same_class_of_images", "{:.1%}")
    yield (
        figures.text("same_class", "{:.1%}"),
        "regenerated in their class, to a classifier",
        own and f"of the images themselves: {own}",
    )
    yield (
        figures.text("samples", "same_class", "{:.1%}"),
        "of the samples are of the class asked for",
        "to the same classifier",
    )


def _are_numbers(values):
    return isinstance(values, list) and all(
        isinstance(value, (int, float)) for value in values
    )


class _Known:
    """Figures that may be missing, or not be numbers."""

    def __init__(self, figures):
        self.figures = figures

    def get(self, *names):
        found = self.figures
        for name in names:
            found = found.get(name) if isinstance(found, dict) else None
        return found

    def text(self, *names):
        """A number as the last argument formats it, or `None`."""
        *names, form = names
        found = self.get(*names)
        is_number = isinstance(found, (int, float))
        return form.format(found) if is_number else None


def _rows(facts):
    """Rows of a table of nested facts."""
    return [
        [key.replace("_", " "), _text(value)]
        for key, value in flat(facts)
        if not any(part in LEFT_OUT for part in key.split(": "))
    ]


def _text(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or "none"
    return str(value)
