"""Pictures made of tiles: grids, tables with words, and files."""

import math
import pathlib

import numpy as np
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont
from skimage.util import montage

from keras_csc.files import replacing
from keras_csc.pixels import to_pixels
from keras_csc.validation import check_finite

WHITE = 255
BORDER = 2
GROUP_GAP = 10
GAP = 4  # of tables
FONT_SIZE, LINE = 14, 18


def image_tiles(images, scale=1):
    """Images as `uint8` RGB tiles, enlarged by whole pixels.

    Images are floats of shape `(n, h, w, 1 or 3)`, clipped to `[-1, 1]`: -1 is
    black, 1 is white.

    Raises:
        ValueError: for another shape, integers, or values that are not finite.
    """
    images = np.asarray(images)
    fits = images.ndim == 4 and images.shape[-1] in (1, 3) and images.size
    if not fits or images.dtype.kind in "iu":
        raise ValueError(
            "`images` must be floats in [-1, 1] of shape (n, height, width, "
            "1 or 3), one image or more. "
            f"Received: dtype={images.dtype}, shape={images.shape}"
        )
    check_finite("images", images)
    pixels = to_pixels(images.astype("float32"))
    pixels = np.broadcast_to(pixels, (*pixels.shape[:-1], 3))
    return _repeated(pixels, scale)


def _repeated(tiles, scale):
    return tiles.repeat(scale, axis=1).repeat(scale, axis=2)


def fitted(tiles, side):
    """Enlarges `uint8` tiles by whole pixels, or averages them, to fit."""
    longest = max(tiles.shape[1:3])
    if longest <= side:
        return _repeated(tiles, side // longest)
    height, width = (
        max(1, round(n * side / longest)) for n in tiles.shape[1:3]
    )
    # Pillow has no axis for a sole channel.
    flat = tiles[..., 0] if tiles.shape[-1] == 1 else tiles
    images = (Image.fromarray(tile) for tile in flat)
    box = Image.Resampling.BOX
    made = np.stack([image.resize((width, height), box) for image in images])
    return made.reshape(*made.shape[:3], -1)


def arrange(tiles, columns, padding):
    """Lays `uint8` tiles `(n, h, w, 3)` out row by row on white.

    Between them and at the border are `padding` pixels. With `None` columns the
    picture is near-square.
    """
    columns = min(columns or math.ceil(math.sqrt(len(tiles))), len(tiles))
    return montage(
        tiles,
        fill=[WHITE] * 3,
        grid_shape=(math.ceil(len(tiles) / columns), columns),
        padding_width=padding,
        channel_axis=-1,
    )


# === Words ===


def _words(text, height, width, right=False):
    """Lines of words on white, in the middle or at the right."""
    strip = Image.new("RGB", (width, height), "white")
    draw, font = ImageDraw.Draw(strip), ImageFont.load_default(FONT_SIZE)
    x, anchor = (width - 6, "rm") if right else (width / 2, "mm")
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        y = height / 2 + LINE * (number - (len(lines) + 1) / 2)
        draw.text((x, y), line, "black", font, anchor=anchor)
    return np.asarray(strip)


def _room(texts):
    """Pixels of width that the longest line needs."""
    font = ImageFont.load_default(FONT_SIZE)
    lines = "\n".join(texts).split("\n")
    return max(int(font.getlength(line)) for line in lines) + 4


def table(rows, labels, names=None):
    """Rows of tiles with labels above, and names at their left.

    Args:
        rows: list of `uint8` arrays `(n, h, w, 3)`, each of its own size.
        labels: list of `n` strings, all of as many lines.
        names: list of a string for every row, or `None`.
    """
    width = max(*(tiles.shape[2] for tiles in rows), _room(labels))
    height = LINE * (labels[0].count("\n") + 1)
    head = np.stack([_words(label, height, width) for label in labels])
    parts = [arrange(head, len(head), GAP)[:-GAP]]
    for tiles in rows:
        more = width - tiles.shape[2]
        sides = (0, 0), (0, 0), (more // 2, more - more // 2), (0, 0)
        tiles = np.pad(tiles, sides, constant_values=WHITE)
        parts.append(arrange(tiles, len(tiles), GAP)[GAP:])
    picture = np.concatenate(parts)
    if names is None:
        return picture
    width = _room(names) + 8
    gutter = [
        _words(name, len(part), width, right=True)
        for name, part in zip(["", *names], parts)
    ]
    return np.concatenate([np.concatenate(gutter), picture], axis=1)


# === Grids ===


def image_grid(images, columns=None, scale=1):
    """Images row by row on white.

    Args:
        images: floats in `[-1, 1]` of shape `(n, h, w, 1 or 3)`.
        columns: int, by default a near-square grid.
        scale: int, every image pixel becomes a square of this side.

    Returns:
        A `uint8` array of shape `(height, width, 3)`.

    Example:

    >>> save_png("samples.png", image_grid(images, columns=8, scale=2))
    """
    return arrange(image_tiles(images, scale), columns, BORDER)


def comparison_grid(image_sets, labels=None, columns=10, scale=1):
    """Images above what several models made of them.

    The k-th image of every set stands in one column, a set a row. Rows of a
    group almost touch. Groups of `columns` images follow at a larger distance.

    Args:
        image_sets: list of float arrays in `[-1, 1]` of one shape
            `(n, h, w, 1 or 3)`: originals first, then the contenders.
        labels: list of one short string a set, written at the left of its
            rows, or `None`.
        columns: int, images a row.
        scale: int, enlargement.

    Returns:
        A `uint8` array of shape `(height, width, 3)`.

    Example:

    >>> grid = comparison_grid([x, x_csc, x_vae], ["image", "CSC", "VAE"])
    """
    tiles = np.stack([image_tiles(images, scale) for images in image_sets], 1)
    grid = _groups(tiles, columns)
    if labels is None:
        return grid
    rows = -(-len(tiles) // columns)
    width, height = _room(labels) + 4, tiles.shape[2]
    words = [_words(label, height, width, right=True) for label in labels]
    return np.concatenate([_groups(np.stack([words] * rows), 1), grid], axis=1)


def _groups(tiles, columns):
    """Tiles `(n, sets, h, w, 3)`; the tiles of an image are a pixel apart."""
    more = GROUP_GAP - BORDER
    gap = ((0, 0), (0, 0), (0, 1), (0, 0), (0, 0))
    stacks = np.pad(tiles, gap, constant_values=WHITE)
    stacks = stacks.reshape(len(tiles), -1, *tiles.shape[3:])
    gap = ((0, 0), (0, more - 1), (0, 0), (0, 0))
    stacks = np.pad(stacks, gap, constant_values=WHITE)
    return arrange(stacks, columns, BORDER)[:-more]


# === Files ===


def save_png(path, array):
    """Writes a picture as PNG, in one step for whoever reads it.

    The file is written under a temporary name in the same folder and renamed.
    If writing fails, an older file stays. Missing folders are made.

    Args:
        path: str or path of the file.
        array: `uint8` array of shape `(height, width, 3)`.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        Image.fromarray(array).save(temporary, format="PNG", optimize=True)
