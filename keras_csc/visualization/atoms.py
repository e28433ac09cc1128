"""Atoms and codes as pictures, and how an image grows from its atoms."""

import math

import numpy as np
import tensorflow as tf

from keras_csc import ops
from keras_csc.metrics import peak_signal_to_noise_ratio
from keras_csc.validation import check_integer
from keras_csc.visualization.grids import arrange
from keras_csc.visualization.grids import fitted
from keras_csc.visualization.grids import image_tiles
from keras_csc.visualization.grids import table

ATOM_PIXELS, MOST_ATOMS = 48, 64
RED, BLUE = (214, 64, 48), (38, 110, 196)
ATOM = ("atom", "codes", "part")


def atom_grid(kernel, columns=None, scale=None):
    """Atoms of a layer, each scaled so that zero is mid-grey.

    Atom `a` is drawn as `a / max|a|`: black and white are its extremes, and
    only its shape shows, not its norm. Atoms keep the order of the filters,
    which carries no meaning. A layer with more than 64 filters is represented
    by its first ones.

    Args:
        kernel: array of shape `(k, k, channels, filters)`, 1 or 3 channels.
            Use `pixel_atoms` for the deeper layers.
        columns: int, by default a near-square grid.
        scale: int, enlargement; by default an atom has at least
            48 pixels high.

    Returns:
        A `uint8` array of shape `(height, width, 3)`.

    Example:

    >>> save_png("atoms.png", atom_grid(layer.kernel))
    """
    kernel = np.asarray(kernel, dtype="float32")
    scale = scale or math.ceil(ATOM_PIXELS / kernel.shape[0])
    atoms = atom_images(kernel[..., :MOST_ATOMS])
    return arrange(image_tiles(atoms, scale), columns, 2)


def atom_images(kernel):
    """Atoms `a / max|a|`, as images `(filters, k, k, channels)`."""
    atoms = np.moveaxis(kernel, -1, 0)
    peak = np.max(np.abs(atoms), axis=(1, 2, 3), keepdims=True)
    return atoms / np.where(peak > 0, peak, 1)


def pixel_atoms(kernels, strides):
    """Atoms of a deep layer as the images that they stand for.

    `a_j = A_1 A_2 ... A_l e_j`. Here `A_i` is the synthesis operator, the
    transposed convolution with `W_i` and stride `s_i`. `e_j` is the code that
    is one at a single place of filter `j`. **Only the linear synthesis counts:
    normalisation and thresholding between layers are left out.** So this is
    what an atom means to an idealised linear decoder. Supports are whole,
    without padding: they grow as `K ← (K - 1) s_i + k_i`. The stride of the
    last layer has no influence.

    Args:
        kernels: list `[W_1, ..., W_l]` of arrays `(k, k, channels, filters)`
            from the image upwards.
        strides: list of as many positive integers.

    Returns:
        A float32 array of shape `(K, K, image channels, filters of W_l)`, for
        `atom_grid`.

    Example:

    >>> atom_grid(pixel_atoms([w1, w2, w3], strides=[2, 2, 2]))
    """
    kernels = [np.asarray(kernel, dtype="float32") for kernel in kernels]
    atoms = np.moveaxis(kernels[-1], -1, 0)
    for kernel, stride in zip(kernels[-2::-1], strides[-2::-1]):
        height, width = (
            (size - 1) * stride + support
            for size, support in zip(atoms.shape[1:3], kernel.shape[:2])
        )
        atoms = tf.nn.conv2d_transpose(
            atoms,
            kernel,
            output_shape=(len(atoms), height, width, kernel.shape[2]),
            strides=stride,
            padding="VALID",
        )
    return np.moveaxis(np.asarray(atoms), 0, -1)


def encoder_atoms(encoder):
    """List of the `pixel_atoms` of every stage of an encoder.

    Atoms of a lapped encoder are as the image has them, a block wider.
    """
    below, found, strides = [], [], encoder.stage_strides
    layers = zip(encoder.coding_layers, encoder.parts_per_code)
    for number, (layer, parts) in enumerate(layers, start=1):
        kernel = np.asarray(layer.kernel, dtype="float32")
        atoms = pixel_atoms([*below, kernel], strides[:number])
        found.append(_lapped(atoms, encoder.block))
        if parts == 2:
            kernel = np.concatenate([kernel, -kernel], axis=-1)
        below.append(kernel)
    return found


def draw_atoms(model):
    """Dict of `atom_grid` pictures, `atoms_1`, `atoms_2`, ..., by stage."""
    return {
        f"atoms_{number}": atom_grid(atoms)
        for number, atoms in enumerate(encoder_atoms(model.encoder), start=1)
    }


# === Codes ===


def code_shades(codes):
    """Codes as red or blue whose opacity is their size, on one scale.

    `(height, width, atoms)` become `uint8` `(atoms, height, width, 4)`.
    """
    maps = np.moveaxis(codes, -1, 0)
    opacity = np.sqrt(np.abs(maps) / (np.max(np.abs(maps)) or 1))
    color = np.where(maps[..., None] < 0, np.uint8(BLUE), np.uint8(RED))
    opacity = np.rint(255 * opacity[..., None]).astype("uint8")
    return np.concatenate([color, opacity], -1)


def on_white(tiles):
    """`uint8` tiles `(..., 3)` of tiles that may have an opacity."""
    if tiles.shape[-1] == 3:
        return tiles
    opacity = tiles[..., 3:] / 255
    made = 255 + opacity * (tiles[..., :3].astype("float32") - 255)
    return np.rint(made).astype("uint8")


# === Explanations ===


def strongest_atoms(explanation, stage=1, maximum=8, side=96):
    """The atoms that an image is made of, a column each, strongest first.

    Above is the atom's number and its share of the energy. The atom in pixels
    follows, as in `atom_grid`. Then come its codes, red where positive and blue
    where negative, all on one scale. Last is its contribution to the image,
    with zero mid-grey and the largest of all black or white. Inactive atoms are
    left out. Above the first stage, atoms and contributions are linear pictures
    of what they mean to the stages below; see `explanation.StageExplanation`.

    Args:
        explanation: `explanation.Explanation`.
        stage: int, from 1, next to the image.
        maximum: int, how many atoms at most.
        side: int, most screen pixels of the longer side of a picture. Small
            pictures are enlarged by whole pixels, large ones averaged.

    Returns:
        A `uint8` array of shape `(height, width, 3)`.

    Raises:
        ValueError: if there is no such stage, or no atom is active.
    """
    stage = _stage(explanation, stage)
    chosen = stage.strongest(maximum)
    if not len(chosen):
        raise ValueError(
            "`stage` must have an active atom. Received: a stage of "
            f"{stage.codes.shape[-1]} atoms, with all codes 0"
        )
    rows = [fitted(on_white(t), side) for t in atom_tiles(stage, chosen)]
    shares = stage.shares[chosen]
    labels = [f"atom {a}\n{share:.1%}" for a, share in zip(chosen, shares)]
    return table(rows, labels, ATOM)


def drawn_rows(stage, maximum):
    """What a stage found in an image, what the decoder draws, the difference.

    The sum of all atoms is in pixels, as in `growing_picture`. The codes of the
    atoms that were found strongest are all on one scale. No difference is
    mid-grey or white.

    Yields:
        `(name, error, tiles)`, of all atoms and of one after another: str,
        float, and three `uint8` tiles. An atom's are as in `code_shades`.
    """
    found, drawn = stage.picture, stage.drawn.picture
    tiles = image_tiles(np.stack([found, drawn, drawn - found]))
    yield "all atoms", stage.drawn_error(), tiles
    chosen = stage.strongest(maximum)
    if len(chosen):
        found, drawn = stage.codes[..., chosen], stage.drawn.codes[..., chosen]
        tiles = code_shades(np.concatenate([found, drawn, drawn - found], -1))
        for number, atom in enumerate(chosen):
            of_atom = tiles[number :: len(chosen)]
            yield stage.label(atom), stage.drawn_error(atom), of_atom


def atom_tiles(stage, chosen):
    """`uint8` tiles of atoms, their codes and contributions; see `ATOM`."""
    parts = np.stack([stage.picture_of([atom]) for atom in chosen])
    return (
        looks(stage, chosen),
        code_shades(stage.codes[..., chosen]),
        image_tiles(parts / (np.max(np.abs(parts)) or 1)),
    )


def growing_picture(explanation, stage=1, side=96):
    """A row of pictures: an image grows from its atoms, the strongest first.

    The pictures are the sums of the strongest 1, 2, 5, 10, ... atoms, of all,
    and the image. The last sum differs from the image by what the codes leave
    over. Above each is the number of atoms and the PSNR. Zero is mid-grey. In a
    stage above the first they are linear pictures, on the `offset` of no codes.

    Args:
        explanation: `explanation.Explanation`.
        stage, side: as in `strongest_atoms`.

    Returns:
        A `uint8` array of shape `(height, width, 3)`.
    """
    stage = _stage(explanation, stage)
    pictures, labels = [], []
    for name, made, psnr in growing(explanation.image, stage):
        pictures.append(made)
        labels.append(name + ("\n" if psnr is None else f"\n{psnr:.1f} dB"))
    return table([fitted(image_tiles(np.stack(pictures)), side)], labels)


def growing(image, stage):
    """The sums of the strongest atoms in pixels, and how near they come.

    Yields:
        `(name, sum, PSNR)`. The name is such as `"5 atoms"`, `"all 48"` or, at
        last, `"image"`. The sum is an array like the image. The PSNR is a float
        in dB, `None` for the image.
    """
    atoms = stage.codes.shape[-1]
    for count, total in stage.partial_sums():
        made = stage.offset + stage.to_pixels(total)
        psnr = peak_signal_to_noise_ratio(image[None], made[None])[0]
        name = f"{count} atom" if count == 1 else f"{count} atoms"
        name = f"all {count}" if count == atoms else name
        yield name, made, float(psnr)
    yield "image", image, None


def _stage(explanation, number):
    check_integer(1, len(explanation.stages), stage=number)
    return explanation.stages[number - 1]


def looks(stage, chosen):
    """`uint8` tiles of some atoms of a stage in pixels; see `pixel_atoms`."""
    kernels, strides = [stage.kernel[..., chosen]], [stage.strides]
    while stage.below is not None:
        kernels.insert(0, stage.kernel_below)
        stage = stage.below
        strides.insert(0, stage.strides)
    atoms = _lapped(pixel_atoms(kernels, strides), stage.block)
    return image_tiles(atom_images(atoms))


def _lapped(atoms, block):
    """Atoms of whole blocks as they are drawn, half a block wider around."""
    if not block:
        return atoms
    around = [(0, 0), (block, block), (block, block), (0, 0)]
    atoms = np.pad(np.moveaxis(atoms, -1, 0), around)
    inner = slice(block // 2, -(block // 2))
    drawn = np.asarray(ops.postfilter(atoms, block))[:, inner, inner]
    return np.moveaxis(drawn, 0, -1)
