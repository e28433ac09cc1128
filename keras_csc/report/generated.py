"""Section of images that never were."""

import numpy as np

from keras_csc.evaluation import passes
from keras_csc.html import element
from keras_csc.report import looking
from keras_csc.report.elements import figure
from keras_csc.report.elements import paragraph
from keras_csc.report.elements import picture
from keras_csc.report.elements import section
from keras_csc.report.images import examples
from keras_csc.report.images import screen_width

COLUMNS = 7
MOST_CLASSES = 10
STEPS = 5
WIDTH = 64


def samples(subject, seed=0):
    """Section: images of random features; `None` without a density."""
    density = subject.model.density
    if density is None:
        return None
    known = np.flatnonzero(density.priors)
    labels = known[:MOST_CLASSES]
    of = "every class"
    if len(known) > MOST_CLASSES:
        of = f"each of the first {MOST_CLASSES} classes"
    one = density.classes == 1
    asked = np.full(2 * COLUMNS, -1) if one else np.repeat(labels, COLUMNS)
    images = passes.sample(subject.model, asked, seed)
    rows = [
        _row(
            None if one else subject.class_name(asked[start]),
            images[start : start + COLUMNS],
        )
        for start in range(0, len(images), COLUMNS)
    ]
    return section(
        "samples",
        "Samples",
        paragraph(
            "Images drawn from features that are drawn at random from the "
            "density of the features of training images"
            + ("." if one else f", a row for {of}.")
        ),
        element("div", rows, class_="walks"),
    )


def _row(name, images):
    width = screen_width(images.shape[2], WIDTH)
    alt = f"Sample of {name}" if name else "Sample"
    return element(
        "div",
        element("h3", name) if name else None,
        element(
            "div",
            [picture(each, alt, width) for each in images],
            class_="seven",
        ),
    )


def interpolation(subject):
    """Section: ways from one image to another; `None` without images."""
    ends = _ends(subject)
    if ends is None:
        return None
    first, second = ends
    between = np.asarray(
        subject.model.interpolate(first, second, STEPS), "float32"
    )
    width = screen_width(first.shape[2], WIDTH)
    rows = []
    for start, end, way in zip(first, second, between):
        pictures = [
            figure(picture(start, "From this image", width), caption="from"),
            *(
                figure(
                    picture(each, f"Step {number} of {STEPS}", width),
                    caption=number,
                )
                for number, each in enumerate(way, start=1)
            ),
            figure(picture(end, "To this image", width), caption="to"),
        ]
        rows.append(element("div", pictures, class_="seven"))
    return section(
        "interpolation",
        "Between two images",
        paragraph(
            "Features lie on a sphere. Along the shortest way between those of "
            "two images the decoder draws what lies between."
        ),
        element("div", rows, class_="walks"),
    )


def _ends(subject):
    """Images to begin with and to end with, `None` if there are none."""
    if subject.found is not None:
        chosen = examples(subject.found, 4)
        images = looking.floats(subject.found, chosen)
    elif subject.model.density is not None:
        images = passes.sample(subject.model, np.full(4, -1), seed=1)
    else:
        return None
    half = len(images) // 2
    return (images[:half], images[half : 2 * half]) if half else None
