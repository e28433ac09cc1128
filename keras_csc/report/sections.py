"""What the page shows of images: regenerated, taken apart, coded, drawn."""

import numpy as np

from keras_csc.evaluation import passes
from keras_csc.pixels import from_pixels
from keras_csc.visualization import atom_tiles
from keras_csc.visualization import code_shades
from keras_csc.visualization import drawn_rows
from keras_csc.visualization import growing as growing_sums

SHOWN = 8  # of the best, the worst, ...
EXAMPLES = 3
MAPS = 6  # of a stage
ATOMS = 8
BINS = 32
BAR = 64  # pixels of the highest
COLUMNS, MOST_CLASSES = 7, 10  # of samples
STEPS = 5  # between two images


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
