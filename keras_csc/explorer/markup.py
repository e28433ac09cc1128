"""Results as HTML: pictures as data, words beside them, no script.

Pictures are PNG files within the page, so that nothing of them is stored.
Small ones are enlarged by whole pixels, without smoothing.
"""

import base64
import html
import io

import numpy as np
from PIL import Image

from keras_csc.visualization.codes import code_tiles
from keras_csc.visualization.explanations import atom_pictures
from keras_csc.visualization.explanations import atom_tiles
from keras_csc.visualization.explanations import growing
from keras_csc.visualization.tiles import fitted
from keras_csc.visualization.tiles import image_tiles

# Screen pixels that small pictures, and those in rows, take.
LARGE, MEDIUM, SMALL, THUMB = 224, 160, 96, 96
TOGGLE = 40
ATOMS = 12
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
    return "".join(parts)


def stage_panel(look, number):
    """How a picture grows from a stage's atoms, and the strongest of them.

    Args:
        look: `Look`, with an explanation.
        number: int, of the stage, from 1.
    """
    stage = look.explanation.stages[number - 1]
    chosen = strongest(stage, look.image)
    if not chosen:
        return note("No atom of this stage is active: all of its codes are 0.")
    shares = stage.shares
    cards = [
        _atom_card(atom, shares[atom] / shares[chosen[0]], shares[atom], tiles)
        for atom, *tiles in zip(chosen, *atom_tiles(stage, chosen, THUMB))
    ]
    sums = "sums of the strongest atoms"
    if number > 1:
        sums += ", through the dictionaries below"
    return "".join(
        [
            heading("The picture grows", sums),
            row(_growing(look.image, stage), "kx-scroll"),
            heading("Strongest atoms", "by their share of the energy"),
            row(cards, "kx-cards"),
        ]
    )


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
    said = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    title = f"Stage {number}"
    picture = image_tag(
        fitted(activity, THUMB)[0], f"{title}: where atoms are active", THUMB
    )
    return (
        f'<section class="kx-card kx-stage">{picture}<div><b>{title}</b>'
        f"<ul>{said}</ul></div></section>"
    )


def _atom_card(atom, width, share, tiles):
    names = ("atom", "codes", "part")
    pictures = "".join(
        f"<figure>{image_tag(tile, f'atom {atom}: {name}', THUMB)}"
        f"<figcaption>{name}</figcaption></figure>"
        for name, tile in zip(names, tiles)
    )
    return (
        f'<section class="kx-card kx-atom"><header><b>Atom {atom}</b>'
        f'<span class="kx-bar"><i style="width:{width:.0%}"></i></span>'
        f"<span>{share:.1%}</span></header><div>{pictures}</div></section>"
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
    return row(pictures, "kx-compact") + facts_list(facts)


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
    return heading(title, subtitle) + row(figures, "kx-wrap")


def restored_panel(restored):
    """A detail, what was made of it, and what came back."""
    given, made = restored.damaged_psnr, restored.psnr
    known = given is not None
    pictures = [
        figure(restored.detail, "Detail", _size(restored.detail), MEDIUM),
        figure(restored.damaged, "Damaged", f"{given:.1f} dB", MEDIUM)
        if known
        else "",
        figure(
            restored.restored,
            "Restored",
            f"{made:.1f} dB" if known else "",
            MEDIUM,
        ),
    ]
    return row(pictures, "kx-compact")


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
    words = ""
    if title:
        words = (
            f"<figcaption><b>{html.escape(title)}</b> "
            f"<span>{html.escape(detail)}</span></figcaption>"
        )
    return (
        f'<figure class="{"kx-large" if wide else "kx-small"}">'
        f"{image_tag(pixels[0], alt, None if wide else side)}"
        f"{words}</figure>"
    )


def image_tag(pixels, alt, side=None):
    """An `<img>` of `uint8` pixels; of a side if one is said."""
    file = io.BytesIO()
    if np.array_equal(pixels[..., :1], pixels[..., 1:2]) and np.array_equal(
        pixels[..., :1], pixels[..., 2:]
    ):
        pixels = pixels[..., 0]
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    height, width = pixels.shape[:2]
    style = ""
    if side is not None:
        longest = max(height, width)
        scale = max(1, side // longest) if longest <= side else side / longest
        style = f' style="width:{round(width * scale)}px"'
    return (
        f'<img src="data:image/png;base64,{data}" alt="{html.escape(alt)}" '
        f'width="{width}" height="{height}"{style}>'
    )


def row(figures, kind=""):
    return f'<div class="kx-row {kind}">{"".join(figures)}</div>'


def heading(title, subtitle=""):
    return (
        f'<h3 class="kx-heading">{html.escape(title)} '
        f"<small>{html.escape(subtitle)}</small></h3>"
    )


def note(text):
    """A sentence that says why there is no more."""
    return f'<p class="kx-note">{html.escape(text)}</p>'


def facts_list(facts):
    """Names with their values, side by side."""
    entries = "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>"
        for name, value in facts.items()
    )
    return f'<dl class="kx-facts">{entries}</dl>'


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
    return f'<div class="kx-picker">{"".join(buttons)}</div>'


def atom_toggles(stage, image):
    """Buttons of a stage's strongest atoms, with `data-key` their numbers."""
    atoms = strongest(stage, image)
    if not atoms:
        return note("No atom of this stage is active.")
    shares = stage.shares
    tiles = atom_pictures(stage, atoms, TOGGLE)
    buttons = [
        _button(atom, image_tag(tile, ""), f"{atom}", True, share)
        for atom, tile, share in zip(atoms, tiles, shares[atoms])
    ]
    return (
        '<p class="kx-label">Strongest atoms: press one to switch it off</p>'
        f'<div class="kx-picker kx-toggles">{"".join(buttons)}</div>'
    )


def _button(key, picture, label, pressed, share=None):
    state = "true" if pressed else "false"
    more = "" if share is None else f" <small>{share:.0%}</small>"
    name = f"atom {label}" if share is not None else label
    return (
        f'<button type="button" data-key="{key}" aria-pressed="{state}" '
        f'aria-label="{html.escape(name)}">{picture}'
        f"<span>{html.escape(label)}{more}</span></button>"
    )


def _number(value):
    """Three digits or more, none of them an exponent's."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _size(image):
    return f"{image.shape[1]}×{image.shape[0]} pixels"


STYLE = """
.gradio-container { width: 100% !important; max-width: 1240px !important;
  margin: 0 auto !important; }
.gradio-container .html-container { padding: 0 !important; }
.kx-title h1 { font-size: 1.5rem; margin: 0; letter-spacing: -0.01em; }
.kx-title p { margin: 0.15rem 0 0; color: var(--body-text-color-subdued); }
.kx-row { display: flex; flex-wrap: wrap; gap: 16px; align-items: flex-start; }
.kx-row figure, .kx-atom figure { margin: 0; }
.kx-row img { display: block; max-width: 100%; height: auto;
  border-radius: 4px; image-rendering: pixelated;
  background: var(--background-fill-secondary); }
.kx-large { flex: 1 1 260px; min-width: 0; }
.kx-large img { width: 100%; image-rendering: auto; }
.kx-compact { gap: 12px; }
.kx-compact .kx-large { flex: 0 1 calc(50% - 6px); min-width: 200px; }
.kx-compact .kx-small { max-width: calc(33.33% - 8px); }
@media (max-width: 720px) { .kx-first { order: -1; } }
.kx-row figcaption { font-size: 0.875rem; line-height: 1.35;
  margin-top: 6px; color: var(--body-text-color); }
.kx-row figcaption b { display: block; font-weight: 600; }
.kx-row figcaption span { color: var(--body-text-color-subdued);
  font-variant-numeric: tabular-nums; }
.kx-scroll, .kx-wrap { gap: 12px; }
.kx-heading { font-size: 1rem; font-weight: 600; margin: 20px 0 10px; }
.kx-heading small { font-weight: 400; font-size: 0.875rem; margin-left: 4px;
  color: var(--body-text-color-subdued); }
.kx-cards { display: grid; gap: 12px;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 236px), 1fr)); }
.kx-card { border: 1px solid var(--border-color-primary); border-radius: 8px;
  padding: 12px; min-width: 0; background: var(--background-fill-primary); }
.kx-stage { display: flex; gap: 12px; align-items: flex-start; }
.kx-stage ul { list-style: none; margin: 4px 0 0; padding: 0;
  font-size: 0.8125rem; line-height: 1.5;
  color: var(--body-text-color-subdued); }
.kx-stage li { margin: 0; padding: 0; }
.kx-atom header { display: flex; gap: 10px; align-items: center;
  font-size: 0.875rem; margin-bottom: 10px;
  font-variant-numeric: tabular-nums; }
.kx-atom header b { white-space: nowrap; }
.kx-atom > div { display: grid; grid-template-columns: repeat(3, 1fr);
  gap: 8px; }
.kx-atom img { width: 100% !important; }
.kx-atom figcaption { text-align: center; font-size: 0.75rem; margin-top: 4px;
  color: var(--body-text-color-subdued); }
.kx-bar { flex: 1; height: 6px; border-radius: 3px; overflow: hidden;
  background: var(--background-fill-secondary); }
.kx-bar i { display: block; height: 100%; background: var(--color-accent); }
.kx-facts { display: flex; flex-wrap: wrap; gap: 8px 28px; margin: 18px 0 0;
  padding-top: 14px; border-top: 1px solid var(--border-color-primary); }
.kx-facts dt { font-size: 0.75rem; color: var(--body-text-color-subdued); }
.kx-facts dd { margin: 0; font-weight: 600;
  font-variant-numeric: tabular-nums; }
.kx-note { color: var(--body-text-color-subdued); max-width: 60ch; }
.kx-label { margin: 0 0 8px; font-size: var(--block-label-text-size);
  color: var(--block-info-text-color); }
.kx-picker { display: grid; gap: 8px;
  grid-template-columns: repeat(auto-fill, minmax(64px, 1fr)); }
.kx-picker button { margin: 0 !important; padding: 4px; font-weight: 400;
  border-radius: 8px; cursor: pointer;
  min-width: 0; text-align: center; background: none;
  border: 2px solid transparent; }
.kx-picker button:hover { background: var(--background-fill-secondary); }
.kx-picker button[aria-pressed="true"] { border-color: var(--color-accent); }
.kx-picker button:focus-visible { outline: 2px solid var(--color-accent);
  outline-offset: 2px; }
.kx-picker img { display: block; width: 100%; aspect-ratio: 1;
  object-fit: cover; border-radius: 4px; image-rendering: pixelated; }
.kx-picker span { display: block; overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap; font-size: 0.7rem; margin-top: 3px;
  color: var(--body-text-color); }
.kx-toggles { grid-template-columns: repeat(auto-fill, minmax(56px, 1fr)); }
.kx-toggles button[aria-pressed="false"] {
  border: 2px dashed var(--body-text-color-subdued); }
.kx-toggles button[aria-pressed="false"] img { opacity: 0.3; }
.kx-toggles small { color: var(--body-text-color-subdued); }
"""
