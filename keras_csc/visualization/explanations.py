"""Pictures of an explanation: the strongest atoms, and how they add up."""

import numpy as np

from keras_csc.metrics import peak_signal_to_noise_ratio
from keras_csc.validation import check_integer
from keras_csc.visualization.atoms import atom_images
from keras_csc.visualization.atoms import pixel_atoms
from keras_csc.visualization.codes import code_tiles
from keras_csc.visualization.labels import captioned
from keras_csc.visualization.labels import label_gutter
from keras_csc.visualization.tiles import arrange
from keras_csc.visualization.tiles import fitted
from keras_csc.visualization.tiles import image_tiles
from keras_csc.visualization.tiles import stacked

GAP = 4
BESIDE = ("found", "drawn", "difference")


def strongest_atoms(explanation, stage=1, maximum=8, side=96):
    """The atoms that an image is made of, a column each, strongest first.

    Above is the atom's number and its share of the energy. Then come the atom
    in pixels, as of `atom_grid`; its codes, as of `code_maps`, all on one
    scale; and its contribution to the image, too, with zero mid-grey and the
    largest of all black or white. Inactive atoms are left out. Of a stage
    above the first, atoms and contributions are linear pictures of what they
    mean to the stages below; see `explanation.StageExplanation`.

    Args:
        explanation: `explanation.Explanation`.
        stage: int, from 1, next to the image. Defaults to 1.
        maximum: int, how many atoms at most. Defaults to 8.
        side: int, screen pixels of the longer side of a picture at most: small
            ones are enlarged by whole pixels, large ones averaged. Defaults
            to 96.

    Returns:
        A `uint8` array of shape `(height, width, 3)`.

    Raises:
        ValueError: if there is no such stage, an argument is not positive, or
            no atom is active.

    Example:

    >>> found = model.explain(images[0])
    >>> save_png("strongest.png", strongest_atoms(found))
    """
    stage = _stage(explanation, stage)
    if maximum < 1:
        raise ValueError(
            f"`maximum` must be positive. Received: maximum={maximum}"
        )
    chosen = stage.strongest(maximum)
    if not len(chosen):
        raise ValueError(
            "`stage` must have an active atom. Received: a stage of "
            f"{stage.codes.shape[-1]} atoms, with all codes 0"
        )
    rows = atom_tiles(stage, chosen, side)
    shares = stage.shares[chosen]
    labels = [f"atom {a}\n{share:.1%}" for a, share in zip(chosen, shares)]
    return _table(rows, ("atom", "codes", "part"), labels)


def _table(rows, names, labels):
    """Rows of tiles with their names at the left, and labels above."""
    columns, middles = stacked(rows, GAP)
    columns, above = captioned(columns, labels)
    grid = arrange(columns, len(labels), (GAP, GAP))
    gutter = label_gutter(
        [(GAP + above + y, name) for y, name in zip(middles, names)], len(grid)
    )
    return np.concatenate([gutter, grid], axis=1)


def found_and_drawn(explanation, stage=1, maximum=5, side=96):
    """What a stage found in an image, beside what the decoder draws there.

    A column each, and one for the difference, drawn less found. The first row
    is the sum of all atoms, in pixels as of `growing_picture`; those below are
    the codes of the atoms that were found strongest, as of `code_maps`, all on
    one scale. At the left is `StageExplanation.drawn_error`. No difference is
    mid-grey or white.

    Args:
        explanation: `explanation.Explanation` of a model whose decoder draws
            with the encoder's atoms.
        stage, maximum, side: as of `strongest_atoms`. `maximum` defaults to 5.

    Returns:
        A `uint8` array of shape `(height, width, 3)`.

    Raises:
        ValueError: if there is no such stage, an argument is not positive, or
            the explanation is that of an encoder alone.

    Example:

    >>> save_png("drawn.png", found_and_drawn(model.explain(images[0])))
    """
    stage = _stage(explanation, stage)
    check_integer(1, maximum=maximum)
    if stage.drawn is None:
        raise ValueError(
            "`explanation` must be of a model, by `model.explain`. Received: "
            "one of an encoder alone, which draws nothing"
        )
    names, errors, tiles = zip(*drawn_rows(stage, maximum))
    names = [f"{name}, error {e:.0%}" for name, e in zip(names, errors)]
    return _table([fitted(each, side) for each in tiles], names, BESIDE)


def drawn_rows(stage, maximum, tiles_of=code_tiles):
    """The rows of `found_and_drawn`.

    Args:
        stage: `explanation.StageExplanation`, with what is drawn.
        maximum: int, how many atoms at most.
        tiles_of: function from codes to tiles.

    Yields:
        `(name, error, tiles)`, of all atoms and of one after another: str,
        float, and a `uint8` array `(3, height, width, channels)`.
    """
    both = stage, stage.drawn
    atoms = range(stage.codes.shape[-1])
    found, drawn = (each.offset + each.picture_of(atoms) for each in both)
    tiles = image_tiles(np.stack([found, drawn, drawn - found]), 1)
    yield "all atoms", stage.drawn_error(), tiles
    chosen = stage.strongest(maximum)
    if len(chosen):
        found, drawn = (each.codes[..., chosen] for each in both)
        tiles = tiles_of(np.concatenate([found, drawn, drawn - found], -1))
        for number, atom in enumerate(chosen):
            of_atom = tiles[number :: len(chosen)]
            yield f"atom {atom}", stage.drawn_error(atom), of_atom


def atom_tiles(stage, chosen, side):
    """Some atoms of a stage, their codes and their contributions, as tiles.

    Args:
        stage: `explanation.StageExplanation`.
        chosen: ints, the atoms.
        side: int, as of `strongest_atoms`.

    Returns:
        List of three `uint8` arrays `(atoms, height, width, 3)`; see
        `strongest_atoms`.
    """
    return [
        atom_pictures(stage, chosen, side),
        fitted(code_tiles(stage.codes[..., chosen]), side),
        fitted(image_tiles(contributions(stage, chosen), 1), side),
    ]


def contributions(stage, chosen):
    """What some atoms contribute, in pixels: the largest is black or white.

    Args:
        stage: `explanation.StageExplanation`.
        chosen: ints, the atoms.

    Returns:
        Array `(atoms, height, width, channels)`.
    """
    parts = np.stack([stage.picture_of([atom]) for atom in chosen])
    return parts / (np.max(np.abs(parts)) or 1)


def atom_pictures(stage, chosen, side):
    """The first of `atom_tiles`."""
    atoms = atom_images(_pixel_atoms(stage, chosen))
    return fitted(image_tiles(atoms, 1), side)


def growing_picture(explanation, stage=1, counts=None, side=96):
    """A row of pictures: an image grows from its atoms, the strongest first.

    The sums of the strongest 1, 2, 5, 10, ... atoms, of all, and the image,
    from which the last sum differs by what the codes leave over. Above each is
    the number of atoms and the PSNR. Zero is mid-grey. Of a stage above the
    first they are linear pictures, on the `offset` of no codes.

    Args:
        explanation: `explanation.Explanation`.
        stage: int, from 1, next to the image. Defaults to 1.
        counts: ints, rising, how many atoms to sum, by default those of
            `StageExplanation.default_counts`.
        side: int, as of `strongest_atoms`.

    Returns:
        A `uint8` array of shape `(height, width, 3)`.

    Raises:
        ValueError: if there is no such stage, or `counts` do not rise or are
            more than there are atoms.

    Example:

    >>> found = model.explain(images[0])
    >>> save_png("growing.png", growing_picture(found))
    """
    stage = _stage(explanation, stage)
    image, atoms = explanation.image, stage.codes.shape[-1]
    tiles, labels = [], []
    for count, made, psnr in growing(image, stage, counts):
        name = f"all {count}" if count == atoms else f"{count}"
        labels.append(f"{name}\n{psnr:.1f} dB")
        tiles.append(fitted(image_tiles(made[None], 1), side))
    tiles.append(fitted(image_tiles(image[None], 1), side))
    labels.append("image\n")
    columns, _ = captioned(np.concatenate(tiles), labels)
    return arrange(columns, len(columns), (GAP, GAP))


def growing(image, stage, counts=None):
    """The sums of the strongest atoms in pixels, and how near they come.

    Args:
        image: float array `(height, width, channels)` in [-1, 1].
        stage: `explanation.StageExplanation`, of a stage that coded it.
        counts: as of `growing_picture`.

    Yields:
        `(count, sum, PSNR)`: the sum an array like the image, a float in dB.
    """
    for count, total in stage.partial_sums(counts):
        made = stage.offset + stage.to_pixels(total)
        psnr = peak_signal_to_noise_ratio(image[None], made[None])[0]
        yield count, made, float(psnr)


def _stage(explanation, number):
    check_integer(1, len(explanation.stages), stage=number)
    return explanation.stages[number - 1]


def _pixel_atoms(stage, chosen):
    """Some atoms of a stage in pixels, `(K, K, channels, atoms)`."""
    kernels, strides = [stage.kernel[..., chosen]], [stage.strides]
    while stage.below is not None:
        kernel = stage.below.kernel
        if stage.signal.shape[-1] == 2 * kernel.shape[-1]:  # Split codes.
            kernel = np.concatenate([kernel, -kernel], axis=-1)
        kernels.insert(0, kernel)
        strides.insert(0, stage.below.strides)
        stage = stage.below
    return pixel_atoms(kernels, strides)
