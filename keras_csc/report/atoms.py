"""Section of the atoms of every stage."""

import numpy as np

from keras_csc.html import element
from keras_csc.pixels import to_pixels
from keras_csc.report import charts
from keras_csc.report import looking
from keras_csc.report.elements import count
from keras_csc.report.elements import figure
from keras_csc.report.elements import folded
from keras_csc.report.elements import paragraph
from keras_csc.report.elements import percent
from keras_csc.report.elements import picture
from keras_csc.report.elements import section
from keras_csc.visualization.atoms import atom_images
from keras_csc.visualization.atoms import encoder_atoms

FIRST = 24  # cards that are not folded away
ATOM_WIDTH = 60
SMOOTH = 16  # pixels of patches that are not shown as squares
RARE = 0.01
# Pixels that all patches and all atoms of a page may have: what a page may
# weigh.
MOST_PIXELS = 2_000_000
ORDERS = {
    "strength": "strongest first",
    "density": "most often active first",
    "rarity": "most rarely active first",
    "number": "by number",
}


def atoms(subject):
    """Section: what every atom looks like, how often and where it stands."""
    kind = "atoms" if subject.encoder.sparse else "filters"
    kernels = encoder_atoms(subject.encoder)
    side, patches = _sizes([kernel.shape for kernel in kernels])
    return section(
        "atoms",
        kind.capitalize(),
        paragraph(
            f"All {kind} of all stages, each scaled so that zero is mid-grey. "
            "Those of a deeper stage are drawn as what they stand for in the "
            "image, through the stages below."
        ),
        _legend(subject) if subject.found else None,
        [
            _stage(subject, number, kernel, side, patches)
            for number, kernel in enumerate(kernels)
        ],
    )


def _legend(subject):
    text = (
        "Beside each is the share of the places at which it is active, and "
        "below the parts of images where it is strongest."
    )
    if subject.found.stages[0].class_shares is not None:
        text += (
            " The classes are those in which its energy is highest, with the "
            "share they would have were all as frequent."
        )
    return paragraph(text)


def _sizes(shapes):
    """Pixels a side of atoms and patches, and patches of an atom."""
    for side, number in ((24, 6), (24, 4), (16, 4), (16, 2), (12, 2), (8, 1)):
        total = sum(
            min(shape[0], side) ** 2 * shape[2] * shape[3] * (number + 1)
            for shape in shapes
        )
        if total <= MOST_PIXELS:
            break
    return side, number


def _stage(subject, number, kernel, side, patches):
    size, atoms = kernel.shape[0], kernel.shape[-1]
    kind = "atom" if subject.encoder.sparse else "filter"
    use = subject.found.stages[number] if subject.found else None
    order = np.arange(atoms)
    if use is not None:
        order = np.argsort(-use.shares, kind="stable")
    looks = looking.smaller(to_pixels(atom_images(kernel)), side)
    cards = [
        _card(subject, number, atom, looks[atom], rank, side, patches)
        for rank, atom in enumerate(order)
    ]
    shown = len(cards) if use is None else FIRST
    first, rest = cards[:shown], cards[shown:]
    return element(
        "div",
        element(
            "h3",
            f"Stage {number + 1}: {count(atoms, kind)} of {size}×{size} pixels",
        ),
        _use(use) if use is not None and subject.encoder.sparse else None,
        _order(number) if use is not None else None,
        element("ul", first, class_="cards"),
        folded(
            f"The other {count(len(rest), kind)} of stage {number + 1}",
            element("ul", rest, class_="cards"),
        )
        if rest
        else None,
        class_="stage",
        data_stage=number + 1,
    )


def _use(use):
    """How often atoms are active: numbers, and a bar for every atom."""
    density = use.density
    dead = int(np.sum(density == 0))
    rare = int(np.sum((density > 0) & (density <= RARE)))
    text = (
        f"{dead} of {len(density)} are never active, {rare} at up to 1% of "
        f"the places, the median atom at {percent(np.median(density))}."
    )
    ordered = np.sort(density)[::-1]
    return figure(
        charts.bar_chart(ordered, f"Density of every atom: {text}"),
        element(
            "div",
            element("span", f"{percent(ordered[0])} of the places"),
            element("span", percent(ordered[-1])),
            class_="ends",
        ),
        caption=f"How often atoms are active, a bar each: {text}",
    )


def _order(number):
    """A choice of the order of the cards, which the page's script shows."""
    key = f"order-{number + 1}"
    options = [
        element("option", text, value=value) for value, text in ORDERS.items()
    ]
    return element(
        "p",
        element("label", "Order ", for_=key),
        element("select", options, id=key),
        class_="order",
        hidden=True,
    )


def _card(subject, stage, atom, look, rank, side, patches):
    name = f"Atom {atom} of stage {stage + 1}"
    use = subject.found.stages[stage] if subject.found else None
    image = picture(look, name, ATOM_WIDTH)
    if use is None:
        return element("li", image, element("strong", atom), class_="card bare")
    density = use.density[atom]
    return element(
        "li",
        element(
            "div",
            image,
            element(
                "div",
                element("strong", atom),
                element("span", percent(density))
                if subject.encoder.sparse
                else None,
                charts.meter(density) if subject.encoder.sparse else None,
            ),
            class_="head",
        ),
        _strip(subject.found, stage, atom, name, side, patches),
        _classes(subject.found, use, atom),
        class_="card",
        data_strength=rank,
        data_density=f"{density:.5f}",
        data_number=atom,
    )


def _strip(found, stage, atom, name, side, count):
    """The strongest patches beside each other, in one picture."""
    tiles = looking.patches(found, stage, atom, side)[:count]
    if not len(tiles):
        return paragraph("never active", class_="muted")
    gap = ((0, 0), (0, 0), (0, 1), (0, 0))
    strip = np.concatenate(list(np.pad(tiles, gap)), axis=1)[:, :-1]
    numbers = found.stages[stage].strongest[atom][: len(tiles)]
    names = [
        found.name(found.labels[n]) for n in numbers if found.labels[n] >= 0
    ]
    alt = f"{name}: strongest patches"
    if names:
        alt += f", of {', '.join(names)}"
    return picture(
        strip,
        alt,
        class_="strip smooth" if tiles.shape[1] >= SMOOTH else "strip",
        style=f"width:{100 * len(tiles) / count:.0f}%",
        title=alt,
    )


def _classes(found, use, atom, most=3):
    if use.class_shares is None or not use.shares[atom]:
        return None
    shares = use.class_shares[:, atom]
    order = np.argsort(-shares, kind="stable")[:most]
    names = [found.name(found.classes[n]) for n in order]
    return element(
        "p",
        [
            element("span", element("b", name), f" {percent(shares[n])}")
            for name, n in zip(names, order)
        ],
        class_="classes",
        title=", ".join(names),
    )
