"""Results as HTML: pictures as data, words beside them, no script.

Pictures are PNG files within the page, so that nothing of them is stored.
Small ones are enlarged by whole pixels, without smoothing. Panels are texts,
their parts elements.
"""

import numpy as np
from PIL import Image

from keras_csc.html import data_uri
from keras_csc.html import element
from keras_csc.html import written
from keras_csc.visualization.codes import code_tiles
from keras_csc.visualization.explanations import BESIDE
from keras_csc.visualization.explanations import atom_pictures
from keras_csc.visualization.explanations import atom_tiles
from keras_csc.visualization.explanations import drawn_rows
from keras_csc.visualization.explanations import growing
from keras_csc.visualization.tiles import fitted
from keras_csc.visualization.tiles import image_tiles

# Screen pixels that small pictures, and those in rows, take.
LARGE, MEDIUM, SMALL, THUMB = 224, 160, 96, 96
TOGGLE = 40
ATOMS = 12
DRAWN = 5  # atoms of which what is drawn is shown
# Of a photograph pictures of atoms take long: there are fewer of them.
ATOMS_OF_PHOTOGRAPH, COUNTS_OF_PHOTOGRAPH = 6, (1, 10)
PHOTOGRAPH = 128**2


def is_photograph(image):
    """Whether an image has so many pixels that answers take long."""
    return image.shape[0] * image.shape[1] > PHOTOGRAPH


def strongest(stage, image):
    """The atoms of a stage that are shown, strongest first.

    Args:
        stage: `explanation.StageExplanation`.
        image: array, the image that it codes.

    Returns:
        List of ints; empty where no code is active.
    """
    most = ATOMS_OF_PHOTOGRAPH if is_photograph(image) else ATOMS
    return stage.strongest(most).tolist()


def look_panel(look):
    """An image, its regeneration, and an overview of its stages."""
    numbers = f"{look.features.size:,} numbers"
    pictures = [
        figure(look.image, "Image", _size(look.image), LARGE),
        figure(
            look.regenerated,
            "Regeneration",
            f"{look.psnr:.1f} dB, from {numbers}",
            LARGE,
        ),
    ]
    parts = [row(pictures)]
    if look.explanation is None:
        parts.append(
            note(
                "The encoder of this model has no sparse codes: there are no "
                "atoms to look at."
            )
        )
    else:
        parts.append(heading("Codes of every stage", "where atoms are active"))
        parts.append(row(map(_stage_card, look.explanation.stages), "kx-cards"))
    return written(*parts)


def stage_panel(look, number):
    """How a picture grows from a stage's atoms, and the strongest of them.

    Args:
        look: `Look`, with an explanation.
        number: int, of the stage, from 1.
    """
    stage = look.explanation.stages[number - 1]
    chosen = strongest(stage, look.image)
    if not chosen:
        text = "No atom of this stage is active: all of its codes are 0."
        return written(note(text))
    shares = stage.shares
    cards = [
        _card(
            f"Atom {atom}",
            shares[atom] / shares[chosen[0]],
            shares[atom],
            tiles,
            ("atom", "codes", "part"),
        )
        for atom, *tiles in zip(chosen, *atom_tiles(stage, chosen, THUMB))
    ]
    sums = "sums of the strongest atoms"
    if number > 1:
        sums += ", through the dictionaries below"
    return written(
        heading("The picture grows", sums),
        row(_growing(look.image, stage), "kx-scroll"),
        heading("Strongest atoms", "by their share of the energy"),
        row(cards, "kx-cards"),
        *_drawn(stage),
    )


def _drawn(stage):
    text = "codes of the encoder, codes that the decoder draws with; the error"
    cards = [
        _card(
            name.capitalize(),
            min(error, 1),
            error,
            fitted(tiles, THUMB),
            BESIDE,
        )
        for name, error, tiles in drawn_rows(stage, DRAWN)
    ]
    return [heading("Found beside drawn", text), row(cards, "kx-cards")]


def _growing(image, stage):
    atoms = stage.codes.shape[-1]
    counts = None
    if is_photograph(image):
        counts = [n for n in COUNTS_OF_PHOTOGRAPH if n < atoms] + [atoms]
    for count, made, psnr in growing(image, stage, counts):
        name = "atom" if count == 1 else "atoms"
        title = f"all {count} atoms" if count == atoms else f"{count} {name}"
        yield figure(made, title, f"{psnr:.1f} dB", SMALL, small=True)
    yield figure(image, "image", "", SMALL, small=True)


def _stage_card(stage):
    codes, number = stage.codes, 1
    below = stage.below
    while below is not None:
        number, below = number + 1, below.below
    height, width, atoms = codes.shape
    # Squared, as the colours follow the root: these are in proportion.
    activity = code_tiles(np.sum(np.abs(codes), -1, keepdims=True) ** 2)
    used = int(np.count_nonzero(np.any(codes != 0, (0, 1))))
    lines = [
        f"{height}×{width} places",
        f"{used} of {atoms} atoms used",
        f"{stage.zeros:.0%} of the codes are 0",
        f"objective {_number(stage.objective)}",
        f"duality gap {_number(stage.gap)}",
    ]
    title = f"Stage {number}"
    picture = image_tag(
        fitted(activity, THUMB)[0], f"{title}: where atoms are active", THUMB
    )
    said = element("ul", [element("li", line) for line in lines])
    return element(
        "section",
        picture,
        element("div", element("b", title), said),
        class_="kx-card kx-stage",
    )


def _card(title, width, share, tiles, names):
    pictures = [
        element(
            "figure",
            image_tag(tile, f"{title.lower()}: {name}", THUMB),
            element("figcaption", name),
        )
        for name, tile in zip(names, tiles)
    ]
    bar = element("i", style=f"width:{width:.0%}")
    head = element(
        "header",
        element("b", title),
        element("span", bar, class_="kx-bar"),
        element("span", f"{share:.1%}"),
    )
    return element(
        "section", head, element("div", pictures), class_="kx-card kx-atom"
    )


def change_panel(look, changed):
    """An image, the sum of its changed atoms, and what the decoder draws."""
    codes = changed.stage.codes
    active = int(np.count_nonzero(codes))
    gain = changed.decoded_psnr - look.psnr
    facts = {
        "coefficients that are not 0": f"{active:,} of {codes.size:,}",
        "zeros": f"{changed.stage.zeros:.1%}",
        "objective": f"{_number(changed.stage.objective)}",
        "duality gap": f"{_number(changed.stage.gap)}",
    }
    pictures = [
        figure(look.image, "Image", _size(look.image), MEDIUM),
        figure(
            changed.sum,
            "Sum of the atoms",
            f"{changed.sum_psnr:.1f} dB",
            MEDIUM,
        ),
        figure(
            changed.decoded,
            "Decoded",
            f"{changed.decoded_psnr:.1f} dB{_gain(gain)}",
            MEDIUM,
        ),
    ]
    return written(row(pictures, "kx-compact"), facts_list(facts))


def _gain(value):
    """What the PSNR has risen by; nothing where it has not changed."""
    if abs(value) < 0.05:
        return ""
    return f" ({'+' if value > 0 else '−'}{abs(value):.1f})"


def images_panel(images, titles, title, subtitle):
    """Images in a row that wraps, with a title each; an empty one is none."""
    side = SMALL if max(images[0].shape[:2]) <= SMALL else LARGE
    figures = [
        figure(image, each, "", side, True, f"{title}: {number}")
        for number, (image, each) in enumerate(zip(images, titles), start=1)
    ]
    return written(heading(title, subtitle), row(figures, "kx-wrap"))


def restored_panel(restored):
    """A detail, what was made of it, and what came back."""
    given, made = restored.damaged_psnr, restored.psnr
    known = given is not None
    pictures = [
        figure(restored.detail, "Detail", _size(restored.detail), MEDIUM),
        figure(restored.damaged, "Damaged", f"{given:.1f} dB", MEDIUM)
        if known
        else None,
        figure(
            restored.restored,
            "Restored",
            f"{made:.1f} dB" if known else "",
            MEDIUM,
        ),
    ]
    return written(row(pictures, "kx-compact"))


def figure(image, title, detail, side, small=False, alt=""):
    """A picture of an image in [-1, 1] with its title and a detail.

    Args:
        image: float array `(height, width, 1 or 3)`.
        title, detail: str.
        side: int, screen pixels of its longer side if it is small.
        small: bool, whether a large one is averaged to that, too.
        alt: str, of a picture without a title.
    """
    pixels = image_tiles(image[None], 1)
    large = max(image.shape[:2]) > side
    if small and large:
        pixels = fitted(pixels, 2 * side)
    alt = ", ".join(filter(None, (title, detail))) or alt
    wide = large and not small
    words = element("b", title), " ", element("span", detail)
    return element(
        "figure",
        image_tag(pixels[0], alt, None if wide else side),
        element("figcaption", words) if title else None,
        class_="kx-large" if wide else "kx-small",
    )


def image_tag(pixels, alt, side=None):
    """An `<img>` of `uint8` pixels; of a side if one is said."""
    height, width = pixels.shape[:2]
    style = None
    if side is not None:
        longest = max(height, width)
        scale = max(1, side // longest) if longest <= side else side / longest
        style = f"width:{round(width * scale)}px"
    grey = np.all(pixels == pixels[..., :1])
    image = Image.fromarray(pixels[..., 0] if grey else pixels)
    return element(
        "img",
        src=data_uri(image, compress_level=1),
        alt=alt,
        width=width,
        height=height,
        style=style,
    )


def row(figures, kind=""):
    return element("div", figures, class_=f"kx-row {kind}")


def heading(title, subtitle=""):
    small = element("small", subtitle)
    return element("h3", title, " ", small, class_="kx-heading")


def note(text):
    """A sentence that says why there is no more."""
    return element("p", text, class_="kx-note")


def facts_list(facts):
    """Names with their values, side by side."""
    entries = [
        element("div", element("dt", name), element("dd", value))
        for name, value in facts.items()
    ]
    return element("dl", entries, class_="kx-facts")


def picker(examples, chosen=None):
    """Buttons of images, with `data-key` the number of each.

    Args:
        examples: list of `Example`.
        chosen: int, of the one that is pressed, or `None`.
    """
    buttons = []
    for number, (label, image) in enumerate(examples):
        pixels = image_tiles(image[None], 1)
        if max(image.shape[:2]) > THUMB:
            pixels = fitted(pixels, 2 * THUMB)
        tag = image_tag(pixels[0], "")
        buttons.append(_button(number, tag, label, number == chosen))
    return written(element("div", buttons, class_="kx-picker"))


def atom_toggles(stage, image):
    """Buttons of a stage's strongest atoms, with `data-key` their numbers."""
    atoms = strongest(stage, image)
    if not atoms:
        return written(note("No atom of this stage is active."))
    shares = stage.shares
    tiles = atom_pictures(stage, atoms, TOGGLE)
    buttons = [
        _button(atom, image_tag(tile, ""), f"{atom}", True, share)
        for atom, tile, share in zip(atoms, tiles, shares[atoms])
    ]
    label = "Strongest atoms: press one to switch it off"
    return written(
        element("p", label, class_="kx-label"),
        element("div", buttons, class_="kx-picker kx-toggles"),
    )


def _button(key, picture, label, pressed, share=None):
    name, more = label, None
    if share is not None:
        name, more = f"atom {label}", (" ", element("small", f"{share:.0%}"))
    return element(
        "button",
        picture,
        element("span", label, more),
        type="button",
        data_key=key,
        aria_pressed="true" if pressed else "false",
        aria_label=name,
    )


def _number(value):
    """Three digits or more, none of them an exponent's."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _size(image):
    return f"{image.shape[1]}×{image.shape[0]} pixels"
