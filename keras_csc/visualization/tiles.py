"""Turning arrays into tiles of pixels, and tiles into one picture."""

import math

import numpy as np
from PIL import Image

from keras_csc.pixels import to_pixels
from keras_csc.validation import check_finite
from keras_csc.validation import check_integer

WHITE = 255


def image_tiles(images, scale):
    """Images as `uint8` RGB tiles, enlarged by whole pixels.

    Args:
        images: floats of shape `(n, h, w, 1 or 3)`, clipped to `[-1, 1]`: -1
            is black, 1 is white.
        scale: Positive integer, screen pixels a side for one image pixel.

    Returns:
        A `uint8` array of shape `(n, h * scale, w * scale, 3)`.

    Raises:
        ValueError: if the shape is another, values are not finite or not
            floats, or `scale` is not positive.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or not images.size:
        raise ValueError(
            "`images` must have shape (n, height, width, 1 or 3) and hold "
            f"at least one image. Received: images.shape={images.shape}"
        )
    if np.issubdtype(images.dtype, np.integer):
        raise ValueError(
            "`images` must be floats in [-1, 1]. "
            f"Received: dtype={images.dtype}"
        )
    images = images.astype("float32")
    check_finite("images", images)
    pixels = to_pixels(images)
    pixels = np.broadcast_to(pixels, pixels.shape[:-1] + (3,))
    return enlarge(pixels, scale)


def enlarge(tiles, scale):
    """Repeat every pixel of `(n, h, w, 3)` tiles `scale` times a side."""
    if scale < 1 or scale != int(scale):
        raise ValueError(
            f"`scale` must be a positive integer. Received: scale={scale}"
        )
    return tiles.repeat(scale, axis=1).repeat(scale, axis=2)


def fitted(tiles, side):
    """Enlarges tiles by whole pixels, or averages them, to fit a square.

    Args:
        tiles: `uint8` array of shape `(n, h, w, 3)`.
        side: int, of the square.

    Returns:
        A `uint8` array of tiles of at most `side` pixels each way.

    Raises:
        ValueError: if `side` is not positive.
    """
    check_integer(1, side=side)
    longest = max(tiles.shape[1:3])
    if longest <= side:
        return enlarge(tiles, side // longest)
    height, width = (
        max(1, round(n * side / longest)) for n in tiles.shape[1:3]
    )
    return np.stack(
        [
            np.asarray(
                Image.fromarray(tile).resize(
                    (width, height), Image.Resampling.BOX
                )
            )
            for tile in tiles
        ]
    )


def widened(tiles, width):
    """Tiles of that width, with white at both sides."""
    more = width - tiles.shape[2]
    return np.pad(
        tiles,
        ((0, 0), (0, 0), (more // 2, more - more // 2), (0, 0)),
        constant_values=WHITE,
    )


def stacked(rows, gap):
    """Joins the k-th tiles of every row, one beneath the other.

    Args:
        rows: list of `uint8` arrays `(n, h, w, 3)`, each of its own size.
        gap: int, pixels between them.

    Returns:
        A tuple of the array of the `n` columns and a list of where the middle
        of every row is, in pixels from above.
    """
    width = max(tiles.shape[2] for tiles in rows)
    parts, middles, top = [], [], 0
    for tiles in rows:
        parts.append(
            np.pad(
                widened(tiles, width),
                ((0, 0), (0, gap), (0, 0), (0, 0)),
                constant_values=WHITE,
            )
        )
        middles.append(top + tiles.shape[1] / 2)
        top += tiles.shape[1] + gap
    return np.concatenate(parts, axis=1)[:, : top - gap], middles


def arrange(tiles, columns, padding, background=WHITE):
    """Lay tiles out row by row, with space between and around them.

    Args:
        tiles: `uint8` array of shape `(n, h, w, 3)`.
        columns: int, or `None` for a near-square picture.
        padding: Pair of non-negative integers, pixels above and below, and
            left and right of every tile; also at the border.
        background: Grey level behind the tiles, 0-255. Defaults to white.

    Returns:
        A `uint8` array of shape `(rows * (h + p) + p, columns * (w + q) + q,
        3)` for `padding=(p, q)`.

    Raises:
        ValueError: if `columns` is not positive or `padding` is negative.
    """
    if columns is None:
        columns = math.ceil(math.sqrt(len(tiles)))
    if columns < 1 or min(padding) < 0:
        raise ValueError(
            "`columns` must be positive and `padding` not negative. "
            f"Received: columns={columns}, padding={padding}"
        )
    columns = min(columns, len(tiles))
    rows = math.ceil(len(tiles) / columns)
    above, left = padding
    cells = np.pad(
        tiles,
        ((0, rows * columns - len(tiles)), (0, above), (0, left), (0, 0)),
        constant_values=background,
    )
    height, width = cells.shape[1:3]
    picture = cells.reshape(rows, columns, height, width, 3).swapaxes(1, 2)
    return np.pad(
        picture.reshape(rows * height, columns * width, 3),
        ((above, 0), (left, 0), (0, 0)),
        constant_values=background,
    )
