"""Panels of the page: what the templates of `explorer.html` are filled with.

Pictures are PNG files within the page, so that nothing of them is stored.
"""

import numpy as np

from keras_csc import html
from keras_csc.visualization.atoms import atom_tiles
from keras_csc.visualization.atoms import code_shades
from keras_csc.visualization.atoms import looks
from keras_csc.visualization.grids import fitted
from keras_csc.visualization.grids import image_tiles

# Screen pixels of small pictures.
SMALL = 96
ATOMS = 12
AT_PLACE = 6  # atoms of every stage at a place
CLASSES, LEAST = 3, -700.0  # the likeliest; nats that `exp` can take
# Of a photograph pictures of atoms take long: there are fewer of them.
ATOMS_OF_PHOTOGRAPH = 6
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
    """An image whose places can be pressed, and its regeneration."""
    step = seen.explanation.stages[0].strides
    return filled("look", seen, step, middle(seen))


def middle(seen):
    """Row and column of a pixel in the middle of an image."""
    return seen.image.shape[0] // 2, seen.image.shape[1] // 2


def codes_panel(seen):
    """An overview of the codes of every stage."""
    overview = []
    for stage in seen.explanation.stages:
        # Squared, as the shades follow the root: these are in proportion.
        sizes = np.sum(np.abs(stage.codes), -1, keepdims=True) ** 2
        used = int(np.count_nonzero(np.any(stage.codes != 0, (0, 1))))
        overview.append((stage, _small(code_shades(sizes))[0], used))
    return filled("codes", overview)


def place_panel(seen, row, column):
    """The strongest atoms of every stage at a pixel of the image."""
    stages = []
    for stage in seen.explanation.stages:
        place, shares = stage.at(row, column)
        chosen = np.argsort(-shares, kind="stable")
        chosen = chosen[: min(AT_PLACE, np.count_nonzero(shares))]
        tiles = _small(looks(stage, chosen)) if len(chosen) else []
        names = map(stage.label, chosen)
        codes = stage.codes[place][chosen]
        atoms = zip(chosen, names, shares[chosen], codes, tiles)
        stages.append((place, np.count_nonzero(shares), list(atoms)))
    return filled("place", stages)


def change_panel(seen, changed, names):
    """An image, the sum of its changed atoms, and what becomes of it.

    `names` are of the density's classes.
    """
    stage = changed.stage
    gain = changed.decoded_psnr - seen.psnr
    gain = f" ({gain:+.1f})".replace("-", "−") if abs(gain) >= 0.05 else ""
    active = int(np.count_nonzero(stage.codes))
    classes = []
    if seen.classes is not None:
        logs = np.stack([seen.classes, changed.classes], 1)
        shares = np.exp(np.maximum(logs, LEAST))
        order = np.argsort(-logs.max(1), kind="stable")[:CLASSES]
        classes = [(names[n], zip(logs[n], shares[n])) for n in order]
    return filled("change", seen, changed, gain, active, classes)


def picker(examples, chosen=None):
    """Buttons of examples, with `data-key` the number of each.

    `chosen` is the number of the pressed one.
    """
    buttons = [
        (number, _small(image[None])[0], label, number == chosen)
        for number, (label, image) in enumerate(examples)
    ]
    return filled("picker", buttons)


def weights_panel(seen, number, linked=None):
    """Sliders for the weights of a stage's strongest atoms.

    An atom that is `linked` to comes first, with its codes and its part.
    """
    stage = seen.explanation.stages[number - 1]
    chosen = strongest(stage, seen.image)
    card = None
    if linked is not None:
        chosen = [linked, *(atom for atom in chosen if atom != linked)]
        parts = [_small(tiles)[0] for tiles in atom_tiles(stage, [linked])]
        card = linked, stage.label(linked), stage.shares[linked], parts
    tiles = _small(looks(stage, chosen)) if chosen else []
    names = map(stage.label, chosen)
    atoms = list(zip(chosen, names, stage.shares[chosen], tiles))
    return filled("weights", number, card, atoms)


def _small(tiles, side=SMALL):
    """Pixels of tiles; what is larger than needed is averaged."""
    if np.issubdtype(tiles.dtype, np.floating):
        tiles = image_tiles(tiles)
    return fitted(tiles, 2 * side) if max(tiles.shape[1:3]) > side else tiles
