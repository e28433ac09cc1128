"""The page: its sections in order, in one file."""

import base64
import functools
import hashlib
import pathlib

from keras_csc.files import replacing
from keras_csc.html import element
from keras_csc.report import atoms
from keras_csc.report import classes
from keras_csc.report import generated
from keras_csc.report import images
from keras_csc.report import overview
from keras_csc.report import training
from keras_csc.report.elements import document
from keras_csc.report.elements import paragraph
from keras_csc.report.elements import section
from keras_csc.report.looking import look
from keras_csc.report.subject import Subject
from keras_csc.version import __version__

FOLDER = pathlib.Path(__file__).parent
GENERATOR = "keras_csc report"
LINKS = {
    "model": "Model",
    "reconstructions": "Regenerations",
    "growing": "Growing",
    "codes": "Codes",
    "drawn": "Drawn",
    "atoms": "Atoms",
    "classes": "Classes",
    "subspaces": "Variation",
    "samples": "Samples",
    "interpolation": "Between",
    "training": "Training",
    "about": "About",
}


def write_report(
    path,
    model,
    name,
    images=None,
    labels=None,
    class_names=None,
    card=None,
    log=(),
    about="",
    own_classes=True,
):
    """Writes a page of what a model is and does: one HTML file.

    It needs no server and no network. It weighs under 5 MB with images of at
    most 128x128 pixels, and about 8 MB with those of 200x200. It says what the
    model is, and shows images beside their regenerations, an image that grows
    from its atoms, codes, all atoms with their densities and strongest patches,
    classes, samples and the curves of training. What there is no data for is
    left out.

    The file is written under a temporary name in the same folder and renamed.

    Args:
        path: str or path of the file.
        model: `ClosedLoopAutoencoder`.
        name: str, of the model.
        images: uint8 array `(n, height, width, channels)` to show the model
            with, or `None`. All are passed through it; some hundreds show well.
        labels: ints `(n,)`, -1 for unlabelled, or `None`.
        class_names: list of str, by label; by default the labels.
        card: dict of what is known of the model, as of `export_preset`:
            `training`, `recipe` and `evaluation`, each a dict. `training` may
            have `class_names`, those of the model's classes.
        log: list of dicts with a `step` and numbers, as of `log.jsonl`.
        about: str, which images these are, or how to get some.
        own_classes: bool, whether the images' classes are those that the model
            learned. If not, and the card has no names, samples have the
            numbers of the model's classes.

    Returns:
        `pathlib.Path` of the file.

    Raises:
        ValueError: for images and labels that do not fit the model.
        OSError: if the file can't be written.
    """
    found = None
    if images is not None:
        found = look(model, images, labels, class_names)
    card = dict(card or {})
    text = page(
        Subject(name, model, found, card, list(log), about, own_classes)
    )
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", "xmlcharrefreplace"))
    return path


def is_report(path):
    """Whether a file is one that `write_report` wrote."""
    with open(path, "rb") as file:
        return f'content="{GENERATOR}'.encode() in file.read(1000)


def page(subject):
    """Text of the page of a `Subject`."""
    sections = [each for each in _sections(subject) if each is not None]
    links = [
        element(
            "li", element("a", LINKS[each.get("id")], href=f"#{each.get('id')}")
        )
        for each in sections
    ]
    body = element(
        "body",
        element("a", "To the content", href="#content", class_="skip"),
        overview.header(subject),
        element("nav", element("ul", links), aria_label="Sections"),
        element("main", sections, id="content"),
        element("script", _text("page.js")),
    )
    return document(element("html", _head(subject), body, lang="en"))


def _sections(subject):
    yield overview.what_it_is(subject)
    if subject.found is None:
        yield section(
            "reconstructions",
            "Images",
            paragraph(f"This page was made without images. {subject.about}"),
        )
        yield atoms.atoms(subject)
    else:
        yield images.reconstructions(subject)
        if subject.encoder.sparse:
            yield images.growing(subject)
        yield images.codes(subject)
        if subject.encoder.sparse:
            yield images.drawn(subject)
        yield atoms.atoms(subject)
        yield classes.classes(subject)
        if not subject.maps:
            yield classes.subspaces(subject)
    yield generated.samples(subject)
    yield generated.interpolation(subject)
    yield training.curves(subject.log)
    yield overview.how_it_was_made(subject)


def _head(subject):
    script = hashlib.sha256(_text("page.js").encode()).digest()
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{base64.b64encode(script).decode()}'"
    )
    metas = {
        "generator": f"{GENERATOR} {__version__}",
        "viewport": "width=device-width, initial-scale=1",
        "color-scheme": "light dark",
    }
    return element(
        "head",
        element("meta", charset="utf-8"),
        [
            element("meta", name=name, content=text)
            for name, text in metas.items()
        ],
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("title", f"{subject.name}: report"),
        element("style", _text("page.css")),
    )


@functools.cache
def _text(name):
    return (FOLDER / name).read_text(encoding="utf-8")
