"""Sections of images: regenerated, taken apart, coded."""

import numpy as np

from keras_csc.html import element
from keras_csc.report import charts
from keras_csc.report import looking
from keras_csc.report.elements import figure
from keras_csc.report.elements import paragraph
from keras_csc.report.elements import percent
from keras_csc.report.elements import picture
from keras_csc.report.elements import section
from keras_csc.visualization import explanations
from keras_csc.visualization.atoms import atom_images

SHOWN = 8  # of the best, the worst, ...
EXAMPLES = 3
MAPS = 6  # of a stage
ATOMS = 8
MOST_WIDTH = 112
BINS = 32
RED, BLUE = (214, 64, 48), (38, 110, 196)


def screen_width(pixels, least=88):
    """Width on the screen: a whole number of times as many pixels.

    But not above 112, of which eight have room beside each other.
    """
    return min(pixels * max(1, -(-least // pixels)), MOST_WIDTH)


def reconstructions(subject):
    """Section: the best, the median and the worst, and all as bars."""
    found = subject.found
    order = np.argsort(found.psnr, kind="stable")
    count = min(SHOWN, len(order))
    middle = (len(order) - count) // 2
    groups = {
        "The best": order[::-1][:count],
        "Around the median": order[middle : middle + count],
        "The worst": order[:count],
    }
    parts = [
        element(
            "div",
            element("h3", title),
            element("div", [_pair(found, n) for n in numbers], class_="row"),
            class_="group",
        )
        for title, numbers in groups.items()
    ]
    return section(
        "reconstructions",
        "Images and regenerations",
        paragraph(
            "Above is the image, below what the decoder draws from its "
            "features. PSNR, in decibels, says how near both are: 20 dB is "
            "recognisable, 30 dB is good, 40 dB hardly to be told apart."
        ),
        parts,
        _histogram(found.psnr),
    )


def _pair(found, number):
    image, made = found.images[number], found.reconstructions[number]
    width = screen_width(image.shape[1])
    label = found.labels[number]
    name = f", {found.name(label)}" if label >= 0 else ""
    return figure(
        picture(image, f"Image {number}{name}", width),
        picture(made, "Its regeneration", width),
        caption=[
            element("strong", f"{found.psnr[number]:.1f} dB"),
            element("span", found.name(label)) if label >= 0 else None,
        ],
        class_="pair",
    )


def _histogram(psnr):
    counts, edges = np.histogram(psnr, BINS)
    median = float(np.median(psnr))
    at = min(int(np.searchsorted(edges, median, "right")) - 1, BINS - 1)
    least, most = float(np.min(psnr)), float(np.max(psnr))
    text = f"{len(psnr):,} images: {least:.1f} to {most:.1f} dB"
    return figure(
        charts.bar_chart(
            counts, f"PSNR of {text}; the median is {median:.1f} dB", at
        ),
        element(
            "div",
            element("span", f"{least:.1f} dB"),
            element("span", f"median {median:.1f} dB"),
            element("span", f"{most:.1f} dB"),
            class_="ends",
        ),
        caption=f"How many of the {len(psnr):,} images have which PSNR.",
    )


def examples(found, count=EXAMPLES):
    """Some images of high contrast, of usual quality and several classes."""
    order = np.argsort(found.psnr, kind="stable")
    quarter = len(order) // 4
    usual = order[quarter : len(order) - quarter]
    contrast = np.std(found.images[usual].astype("float32"), axis=(1, 2, 3))
    usual = usual[np.argsort(-contrast, kind="stable")]
    _, first = np.unique(found.labels[usual], return_index=True)
    chosen = [*usual[np.sort(first)], *np.delete(usual, first)]
    return [int(number) for number in chosen[:count]]


# === One image, atom by atom ===


def growing(subject):
    """Section: images grow from the atoms of the first stage."""
    found = subject.found
    shown = [
        subject.model.explain(found.images[number])
        for number in examples(found, 2)
    ]
    shown = [each for each in shown if each.stages[0].zeros < 1]
    if not shown:
        return None
    return section(
        "growing",
        "A picture grows from its atoms",
        paragraph(
            "The sums of the strongest 1, 2, 5, ... atoms of the first stage, "
            "and the image. From all atoms it differs by what the codes leave "
            "over. Mid-grey is zero."
        ),
        [element("div", _sums(each), class_="row") for each in shown],
        element("h3", "The strongest atoms of the first of them"),
        paragraph(
            "Above is the atom; then its codes, where it stands in the image; "
            "then what it contributes. The number is its share of the energy "
            "of all contributions."
        ),
        element("div", _strongest(shown[0].stages[0]), class_="row"),
    )


def _sums(explanation):
    stage, image = explanation.stages[0], explanation.image
    width = screen_width(image.shape[1], 80)
    atoms = stage.codes.shape[-1]
    for count, made, psnr in explanations.growing(image, stage):
        name = "1 atom" if count == 1 else f"{count} atoms"
        name = f"all {count}" if count == atoms else name
        yield figure(
            picture(made, f"Sum of {name}", width),
            caption=[
                element("strong", name),
                element("span", f"{psnr:.1f} dB"),
            ],
        )
    yield figure(
        picture(image, "The image itself", width),
        caption=element("strong", "image"),
    )


def _strongest(stage):
    chosen = stage.strongest(ATOMS)
    atoms = atom_images(stage.kernel[..., chosen])
    maps = code_shades(stage.codes[..., chosen])
    parts = explanations.contributions(stage, chosen)
    width = screen_width(parts.shape[2], 80)
    for atom, look, codes, part in zip(chosen, atoms, maps, parts):
        yield figure(
            picture(look, f"Atom {atom}", width),
            picture(codes, f"Codes of atom {atom}", width, class_="codes"),
            picture(part, f"Contribution of atom {atom}", width),
            caption=[
                element("strong", f"atom {atom}"),
                element("span", percent(stage.shares[atom])),
            ],
            class_="pair",
        )


# === Codes ===


def codes(subject):
    """Section: the codes of some images, a map for each of a few atoms."""
    found = subject.found
    chosen = examples(found)
    output = subject.encoder.activations(looking.floats(found, chosen))
    stages = [np.asarray(each, "float32") for each in output.codes]
    parts = []
    for row, number in enumerate(chosen):
        image, label = found.images[number], found.labels[number]
        title = found.name(label) if label >= 0 else f"Image {number}"
        parts.append(
            element(
                "div",
                figure(
                    picture(
                        image, f"Image {number}", screen_width(image.shape[1])
                    ),
                    caption=element("strong", title),
                ),
                element(
                    "div",
                    [
                        _maps(n, stage[row])
                        for n, stage in enumerate(stages, start=1)
                    ],
                    class_="maps",
                ),
                class_="coded",
            )
        )
    return section(
        "codes",
        "Codes",
        paragraph(
            f"Of every stage the maps of the {MAPS} atoms that are most active "
            "in the image, each with the number of its atom. Where an atom "
            "stands is red, where it is taken away blue; the deeper the stage, "
            "the fewer the places."
        ),
        parts,
    )


def _maps(number, codes):
    height, width, atoms = codes.shape
    activity = np.abs(codes).sum((0, 1))
    order = np.argsort(-activity, kind="stable")[:MAPS]
    active = int(np.sum(np.any(codes != 0, axis=(0, 1))))
    maps = [
        figure(
            picture(
                tile,
                f"Codes of atom {atom} of stage {number}",
                screen_width(width, 64),
                class_="codes",
            ),
            caption=atom,
        )
        for atom, tile in zip(order, code_shades(codes[..., order]))
    ]
    return element(
        "div",
        paragraph(
            element("strong", f"Stage {number}"),
            f" {height}×{width} places, {active} of {atoms} atoms active, "
            f"{percent(np.mean(codes == 0))} zeros",
            class_="muted",
        ),
        element("div", maps, class_="row small"),
    )


def code_shades(codes):
    """Codes as colours whose opacity is their size, on one scale.

    The root of the size, which keeps small ones visible.

    Args:
        codes: floats `(height, width, atoms)`.

    Returns:
        A uint8 array `(atoms, height, width, 4)`.
    """
    maps = np.moveaxis(codes, -1, 0)
    opacity = np.sqrt(np.abs(maps) / (np.max(np.abs(maps)) or 1))
    color = np.where(maps[..., None] < 0, BLUE, RED)
    tiles = np.concatenate([color, 255 * opacity[..., None]], -1)
    return np.rint(tiles).astype("uint8")


# === Drawn ===


def drawn(subject):
    """Section: what every stage found in an image, beside what is drawn."""
    (number,) = examples(subject.found, 1)
    stages = subject.model.explain(subject.found.images[number]).stages
    parts = []
    for name, stage in enumerate(stages, start=1):
        title = element("h3", f"Stage {name}")
        parts += [title, element("div", _drawn(stage), class_="row")]
    return section(
        "drawn",
        "Found beside drawn",
        paragraph(
            "The decoder draws with the atoms that the encoder finds. Above is "
            "what a stage found in the image, then what the decoder draws "
            "there from the features alone, then the difference: for the sum "
            "of all atoms, and for the codes of the strongest ones, which are "
            "red where an atom stands and blue where it is taken away. The "
            "error is the energy of the codes' difference, as a share of the "
            "energy of what was found. Atoms overlap: codes that differ may "
            "make sums that are alike."
        ),
        parts,
    )


def _drawn(stage):
    rows = explanations.drawn_rows(stage, ATOMS - 1, code_shades)
    for name, error, tiles in rows:
        width = screen_width(tiles.shape[2], 80)
        yield figure(
            [
                picture(tile, f"{name}, {kind}", width, class_="codes")
                for kind, tile in zip(explanations.BESIDE, tiles)
            ],
            caption=[
                element("strong", name),
                element("span", f"error {percent(error)}"),
            ],
            class_="pair",
        )
