"""Words beside and above tiles."""

import numpy as np
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

from keras_csc.visualization.tiles import widened

FONT_SIZE = 14
LINE = 18


def label_gutter(rows, height):
    """A strip to stand at the left of a picture, with words.

    Args:
        rows: list of `(y, word)`; the words are centred there.
        height: int, of the picture.

    Returns:
        A `uint8` array of shape `(height, width, 3)`.
    """
    font = ImageFont.load_default(FONT_SIZE)
    width = max(int(font.getlength(label)) for _, label in rows) + 12
    gutter = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(gutter)
    for y, label in rows:
        draw.text((width - 6, y), label, "black", font, anchor="rm")
    return np.asarray(gutter)


def captioned(tiles, captions):
    """Tiles with words above, each as wide as its words need.

    Args:
        tiles: `uint8` array of shape `(n, h, w, 3)`.
        captions: list of `n` strings, of one line or of several each.

    Returns:
        A tuple of the tiles, wider and higher, and how much higher.
    """
    font = ImageFont.load_default(FONT_SIZE)
    lines = [line for caption in captions for line in caption.split("\n")]
    longest = max(int(font.getlength(line)) for line in lines) + 4
    tiles = widened(tiles, max(tiles.shape[2], longest))
    height = LINE * max(caption.count("\n") + 1 for caption in captions)
    strips = []
    for caption in captions:
        strip = Image.new("RGB", (tiles.shape[2], height), "white")
        draw = ImageDraw.Draw(strip)
        for number, line in enumerate(caption.split("\n")):
            place = (tiles.shape[2] / 2, LINE * (number + 0.5))
            draw.text(place, line, "black", font, anchor="mm")
        strips.append(np.asarray(strip))
    return np.concatenate([np.stack(strips), tiles], axis=1), height
