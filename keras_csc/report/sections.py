"""What the page shows of images and of atoms."""

import numpy as np

from keras_csc.evaluation import passes
from keras_csc.pixels import from_pixels
from keras_csc.pixels import to_pixels
from keras_csc.report.survey import patches
from keras_csc.visualization import atom_images
from keras_csc.visualization import atom_tiles
from keras_csc.visualization import code_shades
from keras_csc.visualization import drawn_rows
from keras_csc.visualization import encoder_atoms
from keras_csc.visualization import fitted
from keras_csc.visualization import growing as growing_sums

SHOWN = 8  # of the best, the worst, ...
EXAMPLES = 3
MAPS = 6  # of a stage
ATOMS = 8
BINS = 32
BAR = 64  # pixels of the highest
COLUMNS, MOST_CLASSES = 7, 10  # of samples
STEPS = 5  # between two images
SMOOTH = 16  # pixels of patches that are not shown as squares
RARE = 0.01
CLASSES = 3  # of an atom
# Pixels that all patches and all atoms of a page may have: what a page may
# weigh.
MOST_PIXELS = 2_000_000


def bars(values):
    """Heights of bars of numbers of at least 0; what is not 0 can be seen."""
    values = np.asarray(values, "float64")
    heights = np.maximum(BAR * values / (values.max() or 1), values > 0)
    return np.round(heights, 1).tolist()


def reconstructions(found):
    """The best, the median and the worst, and all as bars."""
    psnr = found.psnr
    order = np.argsort(psnr, kind="stable")
    count = min(SHOWN, len(order))
    middle = (len(order) - count) // 2
    counts, edges = np.histogram(psnr, BINS)
    median = float(np.median(psnr))
    return {
        "groups": {
            "The best": order[::-1][:count],
            "Around the median": order[middle : middle + count],
            "The worst": order[:count],
        },
        "heights": bars(counts),
        "marked": min(int(np.searchsorted(edges, median, "right")), BINS) - 1,
        "psnr": (psnr.min(), median, psnr.max()),
    }


def examples(found, count):
    """Some images of high contrast, of usual quality and several classes."""
    order = np.argsort(found.psnr, kind="stable")
    quarter = len(order) // 4
    usual = order[quarter : len(order) - quarter]
    contrast = np.std(found.images[usual].astype("float32"), axis=(1, 2, 3))
    usual = usual[np.argsort(-contrast, kind="stable")]
    _, first = np.unique(found.labels[usual], return_index=True)
    chosen = [*usual[np.sort(first)], *np.delete(usual, first)]
    return [int(number) for number in chosen[:count]]


def growing(model, found):
    """Two images as sums of atoms; `None` where no atom is active."""
    explained = [model.explain(found.images[n]) for n in examples(found, 2)]
    explained = [each for each in explained if each.stages[0].zeros < 1]
    if not explained:
        return None
    stage = explained[0].stages[0]
    chosen = stage.strongest(ATOMS)
    return {
        "sums": [growing_sums(e.image, e.stages[0]) for e in explained],
        "strongest": list(
            zip(chosen, stage.shares[chosen], *atom_tiles(stage, chosen))
        ),
    }


def codes(model, found):
    """Of some images and every stage, the maps of the most active atoms."""
    chosen = examples(found, EXAMPLES)
    output = model.encoder.activations(from_pixels(found.images[chosen]))
    stages = [np.asarray(each, "float32") for each in output.codes]
    return [
        (number, [_maps(stage[row]) for stage in stages])
        for row, number in enumerate(chosen)
    ]


def _maps(codes):
    order = np.argsort(-np.abs(codes).sum((0, 1)), kind="stable")[:MAPS]
    return {
        "size": codes.shape[:2],
        "active": int(np.sum(np.any(codes != 0, axis=(0, 1)))),
        "atoms": codes.shape[-1],
        "zeros": np.mean(codes == 0),
        "maps": list(zip(order, code_shades(codes[..., order]))),
    }


def drawn(model, found):
    """Of an image and every stage, what was found beside what is drawn."""
    (number,) = examples(found, 1)
    stages = model.explain(found.images[number]).stages
    return [drawn_rows(stage, ATOMS - 1) for stage in stages]


def samples(model, name):
    """Images of random features, a row a class; `name` names a label."""
    known = np.flatnonzero(model.density.priors)
    labels, of = np.repeat(known[:MOST_CLASSES], COLUMNS), "every class"
    if len(known) > MOST_CLASSES:
        of = f"each of the first {MOST_CLASSES} classes"
    if model.density.classes == 1:
        labels, of = np.full(2 * COLUMNS, -1), None
    images = passes.sample(model, labels)
    names = [name(label) if of else None for label in labels[::COLUMNS]]
    rows = images.reshape(-1, COLUMNS, *images.shape[1:])
    return {"of": of, "rows": list(zip(names, rows))}


def interpolation(model, found):
    """Ways from one image to another; `None` without images."""
    if found:
        images = from_pixels(found.images[examples(found, 4)])
    elif model.density is not None:
        images = passes.sample(model, np.full(4, -1), seed=1)
    else:
        return None
    half = len(images) // 2
    if not half:
        return None
    first, second = images[:half], images[half : 2 * half]
    between = np.asarray(model.interpolate(first, second, STEPS), "float32")
    return list(zip(first, between, second))


# === Atoms ===


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
