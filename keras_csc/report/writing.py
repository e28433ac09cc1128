"""The page: what its template is filled with, and the file."""

import functools
import pathlib

import keras

from keras_csc import html
from keras_csc.export.card import flat
from keras_csc.export.card import parameter_count
from keras_csc.files import replacing
from keras_csc.report import sections
from keras_csc.report.atoms import FILTERED
from keras_csc.report.atoms import atom_cards
from keras_csc.report.atoms import atom_pages
from keras_csc.report.survey import survey
from keras_csc.terminal import Progress
from keras_csc.version import __version__

MARK = b'content="keras_csc report'  # in the first 1,000 bytes of a page
PARTS = 6  # of the work, which a line counts
LEFT_OUT = ("run", "evaluated", "network", "file", "sha256")


def write_report(
    path,
    model,
    name,
    images=None,
    labels=None,
    class_names=None,
    card=None,
    about="",
    own_classes=True,
):
    """Writes a page of what a model is and does: one HTML file.

    It needs no server and no network. It says what the model is, and shows
    images beside their regenerations. An image grows from its atoms, and all
    atoms have a page each. Classes, a map of the features and samples follow.
    What there is no data for is left out.

    The file is written under a temporary name in the same folder and renamed.

    Args:
        path: str or path of the file.
        model: `ClosedLoopAutoencoder`.
        name: str, of the model.
        images: uint8 array `(n, height, width, channels)` to show the model
            with, or `None`. All pass through the model; some hundreds show
            well.
        labels: ints `(n,)`, -1 for unlabelled, or `None`.
        class_names: list of str, by label; by default the labels.
        card: dict of what is known of the model, as in `export_preset`:
            `training`, `recipe` and `evaluation`, each a dict. `training` may
            have `class_names`, the names of the model's classes.
        about: str, which images these are, or how to get some.
        own_classes: bool, whether the model learned the images' classes. If
            not, and the card has no names, samples have the numbers of the
            model's classes.

    Returns:
        `pathlib.Path` of the file.

    Raises:
        ValueError: for images and labels that do not fit the model.
        OSError: if the file can't be written.
    """
    found, progress = None, Progress("Making the page, parts", PARTS, 1.0)
    if images is not None:
        found = survey(model, images, labels, class_names)
    progress.advance(1)
    how = card or {}, about, own_classes, progress
    text = _page(model, name, found, *how)
    progress.advance(1)
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", "xmlcharrefreplace"))
    return path


def _page(model, name, found, card, about, own_classes, progress):
    """Text of the page; `found` is a `Survey` or `None`."""
    parts = {
        "model": _rows(_within(card, "evaluation") or {}),
        "reconstructions": {},
    }
    if found:
        parts["reconstructions"] = sections.reconstructions(found)
        parts |= sections.explained(model, found)
        parts["pages"], parts["sheet"] = atom_pages(model, found)
    progress.advance(1)
    parts["atoms"] = atom_cards(model, found)
    parts["classes"] = sections.similarities(found)
    progress.advance(1)
    parts["atlas"] = sections.atlas(model, found)
    parts["subspaces"] = sections.subspaces(model, found)
    progress.advance(1)
    if model.density is not None:
        parts["samples"] = sections.samples(
            model, lambda label: _class_name(card, found, own_classes, label)
        )
    progress.advance(1)
    parts["about"] = _rows(
        {key: card.get(key) for key in ("training", "recipe")}
    )
    return html.template("report.html").render(
        name=name,
        model=model,
        parameters=parameter_count,
        found=found,
        filtered=FILTERED,
        measured=functools.partial(_measured, card),
        labels=_within(card, "training", "labels"),
        about=about,
        versions=(__version__, keras.__version__),
        parts={key: part for key, part in parts.items() if part is not None},
    )


def _measured(card, form, *names):
    """Text of a number of an evaluation; `None` if it is not known."""
    value = _within(card, "evaluation", *names)
    if isinstance(value, list):  # A share of every stage.
        return ", ".join(map(html.percent, value))
    return form.format(value) if isinstance(value, (int, float)) else None


def _within(facts, *names):
    """What nested dicts have under names, or `None`."""
    for name in names:
        facts = facts.get(name) if isinstance(facts, dict) else None
    return facts


def _class_name(card, found, own_classes, label):
    """Name of one of the model's classes, as far as it is known."""
    names = _within(card, "training", "class_names")
    if isinstance(names, (list, tuple)) and label < len(names):
        return str(names[label])
    return found.name(label) if found and own_classes else f"class {label}"


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
