"""Panels of the page: what the templates of `explorer.html` are filled with.

Pictures are PNG files within the page, so that nothing of them is stored.
"""

import numpy as np

from keras_csc import html
from keras_csc.visualization.atoms import ATOM
from keras_csc.visualization.atoms import BESIDE
from keras_csc.visualization.atoms import atom_tiles
from keras_csc.visualization.atoms import code_shades
from keras_csc.visualization.atoms import drawn_rows
from keras_csc.visualization.atoms import growing
from keras_csc.visualization.atoms import looks
from keras_csc.visualization.grids import fitted
from keras_csc.visualization.grids import image_tiles

# Screen pixels of small pictures, alone and in rows.
LARGE, SMALL = 224, 96
ATOMS = 12
DRAWN_ATOMS = 5  # whose drawn codes are shown
AT_PLACE = 6  # atoms of every stage at a place
# Of a photograph pictures of atoms take long: there are fewer of them.
ATOMS_OF_PHOTOGRAPH, COUNTS_OF_PHOTOGRAPH = 6, (1, 10)
PHOTOGRAPH = 128**2


def filled(name, *content):
    """Text of a macro of `explorer.html`."""
    macro = getattr(html.template("explorer.html").module, name)
    return str(macro(*content)).strip()


def is_photograph(image):
    """Whether an image has so many pixels that answers take long."""
    return image.shape[0] * image.shape[1] > PHOTOGRAPH


def strongest(stage, image):
    """The atoms of a stage that are shown, ints, strongest first."""
    most = ATOMS_OF_PHOTOGRAPH if is_photograph(image) else ATOMS
    return stage.strongest(most).tolist()


def look_panel(seen):
    """An image, its regeneration, and an overview of its stages."""
    overview = []
    for stage in seen.explanation.stages if seen.explanation else ():
        # Squared, as the shades follow the root: these are in proportion.
        sizes = np.sum(np.abs(stage.codes), -1, keepdims=True) ** 2
        used = int(np.count_nonzero(np.any(stage.codes != 0, (0, 1))))
        overview.append((stage, _small(code_shades(sizes))[0], used))
    return filled("look", seen, overview)


def stage_panel(seen, number):
    """How a picture grows from a stage's atoms, and the strongest of them."""
    stage, image = seen.explanation.stages[number - 1], seen.image
    chosen, counts = strongest(stage, image), stage.default_counts()
    if not chosen:
        return filled("stage", number, [], [], ATOM, [], BESIDE)
    if is_photograph(image):
        counts = [n for n in counts[:-1] if n in COUNTS_OF_PHOTOGRAPH]
        counts.append(stage.codes.shape[-1])
    sums = [
        (name, _small(made[None])[0], psnr)
        for name, made, psnr in growing(image, stage, counts)
    ]
    shares = stage.shares[chosen]
    tiles = zip(*map(_small, atom_tiles(stage, chosen)))
    atoms = [
        (stage.label(atom).capitalize(), share / shares[0], share, each)
        for atom, share, each in zip(chosen, shares, tiles)
    ]
    drawn = [
        (name.capitalize(), min(error, 1), error, _small(tiles))
        for name, error, tiles in drawn_rows(stage, DRAWN_ATOMS)
    ]
    return filled("stage", number, sums, atoms, ATOM, drawn, BESIDE)


def press_panel(seen):
    """An image whose places can be pressed."""
    step = seen.explanation.stages[0].strides
    return filled("press", seen.image, step)


def place_panel(seen, row, column):
    """The strongest atoms of every stage at a pixel of the image."""
    stages = []
    for stage in seen.explanation.stages:
        place, shares = stage.at(row, column)
        chosen = np.argsort(-shares, kind="stable")
        chosen = chosen[: min(AT_PLACE, np.count_nonzero(shares))]
        tiles = _small(looks(stage, chosen)) if len(chosen) else []
        names = map(stage.label, chosen)
        atoms = zip(names, shares[chosen], stage.codes[place][chosen], tiles)
        stages.append((place, np.count_nonzero(shares), list(atoms)))
    return filled("place", stages)


def change_panel(seen, changed):
    """An image, the sum of its changed atoms, and what the decoder draws."""
    stage = changed.stage
    gain = changed.decoded_psnr - seen.psnr
    gain = f" ({gain:+.1f})".replace("-", "−") if abs(gain) >= 0.05 else ""
    active = int(np.count_nonzero(stage.codes))
    return filled("change", seen, changed, gain, active)


def images_panel(images, titles, title, subtitle):
    """Images in a row that wraps; `titles` is of each, or empty."""
    images = np.asarray(images)
    side = SMALL if max(images.shape[1:3]) <= SMALL else LARGE
    images = _small(images, side)
    return filled("images", images, titles, title, subtitle, side)


def picker(examples, chosen=None):
    """Buttons of examples, with `data-key` the number of each.

    `chosen` is the number of the pressed one.
    """
    buttons = [
        (number, _small(image[None])[0], label, label, number == chosen)
        for number, (label, image) in enumerate(examples)
    ]
    return filled("picker", buttons)


def atom_toggles(stage, image):
    """Buttons of a stage's strongest atoms, with `data-key` their numbers."""
    chosen = strongest(stage, image)
    tiles = _small(atom_tiles(stage, chosen)[0]) if chosen else []
    buttons = [
        (atom, tile, f"{atom} {share:.0%}", stage.label(atom), True)
        for atom, tile, share in zip(chosen, tiles, stage.shares[chosen])
    ]
    return filled("toggles", buttons)


def _small(tiles, side=SMALL):
    """Pixels of tiles; what is larger than needed is averaged."""
    if np.issubdtype(tiles.dtype, np.floating):
        tiles = image_tiles(tiles)
    return fitted(tiles, 2 * side) if max(tiles.shape[1:3]) > side else tiles
