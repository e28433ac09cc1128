"""Images turned, continued beyond their borders, in blocks and in tiles."""

import math

import numpy as np
from keras import ops

# Side of the blocks of pixels that are computed at once.
BLOCK = 4
# Pixels beside the borders of an image, where codes know only one side.
BORDER = 8
# The side of a tile of a large image, and what it shares with other tiles.
TILE, SHARED = 512, 96


def turned(image, number):
    """An image turned by right angles; from 4 to 7 it is mirrored, too."""
    image = np.rot90(image, number % 4)
    return image[:, ::-1] if number >= 4 else image


def turned_back(image, number):
    """Undoes `turned`."""
    image = image[:, ::-1] if number >= 4 else image
    return np.rot90(image, -(number % 4))


def mirrored(images):
    """Images that go on beyond their borders, to whole blocks."""
    for axis in (1, 2):
        size = ops.shape(images)[axis]
        more = (BLOCK - size % BLOCK) % BLOCK
        # Whole periods are added: in ONNX negative numbers have negative rests.
        first = 2 * size * BORDER - BORDER
        places = ops.arange(first, first + size + 2 * BORDER + more)
        places = places % (2 * size)
        places = ops.minimum(places, 2 * size - 1 - places)
        images = ops.take(images, places, axis)
    return images


def to_blocks(images, side):
    """`(batch, rows, columns, side² channels)`: a block of pixels a place."""
    batch, height, width, channels = ops.shape(images)
    rows, columns = height // side, width // side
    images = ops.reshape(images, (batch, rows, side, columns, side, channels))
    images = ops.transpose(images, (0, 1, 3, 2, 4, 5))
    return ops.reshape(images, (batch, rows, columns, side**2 * channels))


def from_blocks(blocks, side):
    """Undoes `to_blocks`."""
    batch, rows, columns, numbers = ops.shape(blocks)
    channels = numbers // side**2
    blocks = ops.reshape(blocks, (batch, rows, columns, side, side, channels))
    blocks = ops.transpose(blocks, (0, 1, 3, 2, 4, 5))
    return ops.reshape(blocks, (batch, rows * side, columns * side, channels))


def spans(length):
    """Tiles of an axis: what each sees, from and to, and what it keeps.

    All begin at a block of the whole image, so that they have its codes.
    """
    if length <= TILE:
        return [(0, length, 0, length)]
    count = math.ceil(length / (TILE - SHARED))
    edges = [round(number * length / count) for number in range(count + 1)]
    starts = [
        min(max(edge - SHARED // 2, 0), length - TILE) // BLOCK * BLOCK
        for edge in edges[:-1]
    ]
    ends = [start + TILE for start in starts[:-1]] + [length]
    return list(zip(starts, ends, edges, edges[1:]))
