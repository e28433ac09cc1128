"""What the page shows of atoms: their looks, their places, what they do."""

import functools
import math

import numpy as np
import tensorflow as tf

from keras_csc import metrics
from keras_csc.evaluation.passes import by_batches
from keras_csc.evaluation.stages import RARE
from keras_csc.ops.tensors import to_sphere
from keras_csc.pixels import to_pixels
from keras_csc.report.survey import patches
from keras_csc.visualization.atoms import atom_images
from keras_csc.visualization.atoms import encoder_atoms
from keras_csc.visualization.grids import fitted

SMOOTH = 16  # pixels of patches that are not shown as squares
CLASSES = 3  # of an atom
FILTERED = 100  # classes by which atoms are sorted
BINS, BAR = 24, 64  # of a histogram; pixels of the highest
# Images of each kind: an atom is strong, of middle strength, or weak. They are
# half as many if there are many atoms.
IN_CONTEXT, MANY_ATOMS = 4, 500
TOGETHER = 3
# Pixels that all patches and all atoms of a page may have, and its sheet of
# images. They limit what a page weighs.
MOST_PIXELS, SHEET_PIXELS = 2_000_000, 1_500_000


def atom_cards(model, found):
    """The figures of every stage, with a card for every atom."""
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
                "name": model.atom_names.get((stage + 1, atom)),
                "look": looks[atom],
                **(_used(found, stage, atom, side, number) if use else {}),
            }
            for atom in order
        ]
        found_of = {}
        if use:
            active = use.density > 0
            found_of = {
                "dead": np.sum(~active),
                "rare": np.sum(active & (use.density <= RARE)),
                "median": np.median(use.density),
            }
        stages.append({"size": kernel.shape[0], "cards": cards, **found_of})
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


def _used(found, stage, atom, side, number):
    """How images use an atom: its strongest patches, beside each other."""
    use = found.stages[stage]
    tiles = patches(found, stage, atom, side)[:number]
    strip, classes, of_classes = None, [], []
    if len(tiles):
        gap = ((0, 0), (0, 0), (0, 1), (0, 0))
        strip = np.concatenate(list(np.pad(tiles, gap)), axis=1)[:, :-1]
    names = map(found.name, found.labels[use.ranked(atom)[: len(tiles)]])
    if use.class_shares is not None:
        shares = use.class_shares[:, atom]
        of_classes = [shares.max(), *shares[:FILTERED]]
    if of_classes and use.shares[atom]:
        order = np.argsort(-shares, kind="stable")[:CLASSES]
        classes = [(found.name(found.classes[n]), shares[n]) for n in order]
    return {
        "density": use.density[atom],
        "explains": use.shares[atom],
        "of_classes": " ".join(f"{100 * share:.3g}" for share in of_classes),
        "strip": strip,
        "width": 100 * len(tiles) / number,
        "large": tiles.shape[1] >= SMOOTH,
        "names": list(filter(None, names)),
        "classes": classes,
    }


# === The page of an atom ===


def atom_pages(model, found):
    """What is told of an atom beyond its card.

    Returns:
        `(pages, sheet)`. `pages` has dicts for the template by `(stage, atom)`,
        stages from 1. `sheet` is a `Sheet` of the images that they show, or
        `None` if no atom is active.
    """
    atoms = sum(len(use.density) for use in found.stages)
    most = IN_CONTEXT if atoms <= MANY_ATOMS else IN_CONTEXT // 2
    chosen = {
        (stage, atom): _in_context(use.ranked(atom), most)
        for stage, use in enumerate(found.stages, start=1)
        for atom in np.flatnonzero(use.density)
    }
    if not chosen:
        return {}, None
    shown = np.concatenate([n for group in chosen.values() for n in group])
    sheet = Sheet(found.images, np.unique(shown))
    strongest = {place: groups[0] for place, groups in chosen.items()}
    losses = without(model, found, strongest)
    pages = {}
    for (stage, atom), groups in chosen.items():
        use = found.stages[stage - 1]
        peaks = use.peaks[:, atom]
        counts, edges = np.histogram(peaks[peaks > 0], BINS)
        near = np.argsort(-use.correlations[atom], kind="stable")[:TOGETHER]
        pages[stage, atom] = {
            "heights": np.maximum(BAR * counts / counts.max(), counts > 0),
            "peaks": (edges[0], edges[-1]),
            "images": counts.sum(),
            "size": [round(100 * use.size / side) for side in sheet.size[::-1]],
            "groups": [
                [
                    sheet.place(found, number, use.corners[number, atom])
                    for number in numbers
                ]
                for numbers in groups
            ],
            "together": [
                (other, use.correlations[atom, other])
                for other in near
                if use.correlations[atom, other] > 0
            ],
            "without": losses[stage, atom],
        }
    return pages, sheet


def _in_context(ranked, most):
    """The strongest, the middle and the weakest of images, none twice."""
    count = min(most, len(ranked))
    first, rest = ranked[:count], ranked[count:]
    last = rest[len(rest) - min(count, len(rest)) :]
    rest = rest[: len(rest) - len(last)]
    start = max(0, (len(rest) - count) // 2)
    return [first, rest[start : start + count], last[::-1]]


class Sheet:
    """Images side by side, so that a page holds each of them once.

    Args:
        images: uint8 array `(n, height, width, channels)`.
        numbers: ints, which images.
    """

    def __init__(self, images, numbers):
        self.columns = math.ceil(math.sqrt(len(numbers)))
        self.cells = {number: cell for cell, number in enumerate(numbers)}
        self.size = height, width = images.shape[1:3]
        most = math.sqrt(SHEET_PIXELS / (height * width * len(numbers)))
        tiles = images[numbers]
        if most < 1:
            tiles = fitted(tiles, max(1, int(most * max(height, width))))
        rows = math.ceil(len(tiles) / self.columns)
        tiles = np.pad(
            tiles,
            ((0, rows * self.columns - len(tiles)), (0, 0), (0, 0), (0, 0)),
        )
        height, width, channels = tiles.shape[1:]
        grid = tiles.reshape(rows, self.columns, height, width, channels)
        self.pixels = grid.swapaxes(1, 2).reshape(rows * height, -1, channels)

    def place(self, found, number, corner):
        """Where an image is on the sheet, and a corner in percent of the image.

        Returns:
            `(number, name of its class, column, row, left, top)`.
        """
        row, column = divmod(self.cells[number], self.columns)
        top, left = np.rint(100 * corner / self.size).astype("int64")
        name = found.name(found.labels[number])
        return number, name, column, row, left, top


def without(model, found, chosen):
    """What images lose when an atom is off.

    Args:
        model: `ClosedLoopAutoencoder`.
        found: its `Survey`.
        chosen: dict of numbers of images, by stage, from 1, and atom.

    Returns:
        Dict of `(decibels, others)`, by stage and atom: the images' mean loss
        of PSNR, and how many of them are nearest to the mean of another class
        than before; `None` without classes.
    """
    encoder, means, losses = model.encoder, class_means(found), {}

    def made(stage, images, atoms):
        codes = encoder.activations(images).codes[stage]
        kept = 1 - tf.one_hot(
            tf.cast(atoms, tf.int32), codes.shape[-1], dtype=codes.dtype
        )
        features = encoder.features_of(stage, codes * kept[:, None, None])
        again = model.decode(features, image_size=images.shape[1:3])
        return features, metrics.peak_signal_to_noise_ratio(images, again)

    for stage in range(len(found.stages)):
        of_stage = {key: n for key, n in chosen.items() if key[0] == stage + 1}
        if not of_stage:
            continue
        counts = [len(numbers) for numbers in of_stage.values()]
        atoms = np.repeat([atom for _, atom in of_stage], counts)
        numbers = np.concatenate([*of_stage.values()])
        given = found.images[numbers], atoms.astype("float32")
        features, psnr = by_batches(functools.partial(made, stage), given)
        lost, others = found.psnr[numbers] - psnr, None
        if means is not None:
            before, after = (
                found.features[numbers] @ means.T,
                features @ means.T,
            )
            others = np.not_equal(before.argmax(-1), after.argmax(-1))
        ends = np.cumsum(counts)
        for key, start, end in zip(of_stage, [0, *ends], ends):
            changed = others if others is None else others[start:end].sum()
            losses[key] = lost[start:end].mean(), changed
    return losses


def class_means(found):
    """Means of classes' features, of norm 1; `None` for one class or maps."""
    if len(found.classes) < 2 or found.features.ndim != 2:
        return None
    means = [
        found.features[found.labels == label].mean(0) for label in found.classes
    ]
    return np.asarray(to_sphere(np.asarray(means, "float32")))
