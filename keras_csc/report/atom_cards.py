"""What the page shows of atoms: looks, densities, patches and classes."""

import numpy as np

from keras_csc.pixels import to_pixels
from keras_csc.report.sections import bars
from keras_csc.report.survey import patches
from keras_csc.visualization import atom_images
from keras_csc.visualization import encoder_atoms
from keras_csc.visualization import fitted

SMOOTH = 16  # pixels of patches that are not shown as squares
RARE = 0.01
CLASSES = 3  # of an atom
# Pixels that all patches and all atoms of a page may have: what a page may
# weigh.
MOST_PIXELS = 2_000_000


def atom_cards(model, found):
    """Of every stage its figures, and a card for every atom."""
    kernels = encoder_atoms(model.encoder)
    side, number = _sizes([kernel.shape for kernel in kernels])
    stages = []
    for stage, kernel in enumerate(kernels):
        looks = to_pixels(atom_images(kernel))
        looks = fitted(looks, min(side, len(looks[0])))
        use = found and found.stages[stage]
        order = np.arange(len(looks))
        if use:
            order = np.argsort(-use.shares, kind="stable")
        cards = [
            {
                "atom": int(atom),
                "stage": stage + 1,
                "use": use,
                "look": looks[atom],
                "rank": rank,
                **(_used(found, stage, atom, side, number) if use else {}),
            }
            for rank, atom in enumerate(order)
        ]
        density = _density(use.density) if use else {}
        stages.append({"size": kernel.shape[0], "cards": cards, **density})
    return stages


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


def _density(density):
    """How often the atoms of a stage are active."""
    return {
        "dead": int(np.sum(density == 0)),
        "rare": int(np.sum((density > 0) & (density <= RARE))),
        "median": np.median(density),
        "most": density.max(),
        "least": density.min(),
        "heights": bars(np.sort(density)[::-1]),
    }


def _used(found, stage, atom, side, number):
    """How images use an atom: its strongest patches, beside each other."""
    use = found.stages[stage]
    tiles = patches(found, stage, atom, side)[:number]
    strip, classes = None, []
    if len(tiles):
        gap = ((0, 0), (0, 0), (0, 1), (0, 0))
        strip = np.concatenate(list(np.pad(tiles, gap)), axis=1)[:, :-1]
    names = map(found.name, found.labels[use.strongest[atom][: len(tiles)]])
    if use.class_shares is not None and use.shares[atom]:
        shares = use.class_shares[:, atom]
        order = np.argsort(-shares, kind="stable")[:CLASSES]
        classes = [(found.name(found.classes[n]), shares[n]) for n in order]
    return {
        "density": use.density[atom],
        "strip": strip,
        "width": 100 * len(tiles) / number,
        "large": tiles.shape[1] >= SMOOTH,
        "names": list(filter(None, names)),
        "classes": classes,
    }
