"""What the first and last bytes of an image file say, without decoding it."""

import contextlib
import os

import numpy as np
from PIL import Image

from keras_csc.data.decoding import MAX_PIXELS

MAX_BYTES = 5 * MAX_PIXELS
HEAD = 64
MARKERS = 1000
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
ROWS = 256  # that Pillow reads at a time
# What Pillow may read: its plugins for others run other programs.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
# TIFF's tags of bits a sample, and of what a sample of 0 is.
BITS, PHOTOMETRIC = 258, 262
FRAMES = (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC))


class Header:
    """The header of an image file, and its last bytes.

    Args:
        path: of a regular file.

    Attributes:
        problem: why it must not be decoded, or `None`.
        whole: whether it looks whole; if not, only decoding can tell.
        is_tiff: whether Pillow is to read it.
        identity: int, of this content under this path.
        size: `(height, width)`, or `None` where the header does not tell it.
    """

    def __init__(self, path):
        self.problem, self.whole, self.is_tiff = None, False, False
        self.size = None
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            status = os.fstat(file)
            self.length = status.st_size
            self.identity = hash((path, status.st_size, status.st_mtime_ns))
            self.head = os.pread(file, HEAD, 0)
            self.tail = os.pread(file, 8, max(0, self.length - 8))
            self._inspect(path, file)
        finally:
            os.close(file)

    def _inspect(self, path, file):
        if self.length > MAX_BYTES:
            self.problem = f"{self.length:,} bytes, more than {MAX_BYTES:,}"
            return
        width, height = self._size(path, file)
        if width and height:
            self.size = height, width
        if width * height > MAX_PIXELS:
            self.problem = _too_many(width, height)

    def _size(self, path, file):
        head, tail = self.head, self.tail
        if head.startswith(b"\xff\xd8\xff"):
            self.whole = tail.endswith(b"\xff\xd9")
            return _jpeg_size(file)
        if head.startswith(b"\x89PNG\r\n"):
            if head[12:16] != b"IHDR":
                return 0, 0
            self.whole = tail == b"IEND\xaeB`\x82"
            return _number(head, 16, 4, "big"), _number(head, 20, 4, "big")
        if head.startswith(TIFF):
            self.is_tiff = True
            return _tiff_size(path)
        if head.startswith(b"BM"):
            width, height = _number(head, 18, 4), _number(head, 22, 4)
            return width, min(height, 2**32 - height)
        if head.startswith(b"GIF8"):
            return _number(head, 6, 2), _number(head, 8, 2)
        return 0, 0


def _number(data, start, length, order="little"):
    return int.from_bytes(data[start : start + length], order)


def _jpeg_size(file):
    """(width, height) of a JPEG file, (0, 0) if that can't be found."""
    place = 2
    for _ in range(MARKERS):
        piece = os.pread(file, 9, place)
        if len(piece) < 9:
            break
        if piece[0] != 0xFF or piece[1] == 0xFF:
            place += 1
        elif piece[1] in FRAMES:
            return _number(piece, 7, 2, "big"), _number(piece, 5, 2, "big")
        else:
            place += 2 + _number(piece, 2, 2, "big")
    return 0, 0


def _tiff_size(path):
    try:
        with Image.open(path, formats=("TIFF",)) as image:
            return image.size
    except Image.DecompressionBombError:
        return MAX_PIXELS, MAX_PIXELS
    except Exception:  # Pillow's are many, for files that are damaged.
        return 0, 0


@contextlib.contextmanager
def opened(path):
    """A Pillow image of a file, of not too many pixels, none read yet."""
    # Of a path Pillow may map the file, wrongly if it lies on its side.
    with open(path, "rb") as file, Image.open(file, formats=FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(_too_many(image.width, image.height))
        yield image


def _too_many(width, height):
    return (
        f"{width}x{height} pixels, more than {MAX_PIXELS:,} in all: make it "
        "smaller"
    )


def read_pixels(path):
    """Reads a file with Pillow, a part at a time.

    Returns:
        uint8 array (height, width, 3).

    Raises:
        ValueError: for a file that Pillow can't read, or of other pixels than
            8 or 16 bits.
    """
    try:
        with opened(path) as image:
            image.load()
            if image.mode in ("I", "F"):
                raise ValueError("pixels of 32 bits")
            if image.mode.startswith("I;16"):
                grey = (deep_values(image) >> 8).astype(np.uint8)
                return np.repeat(grey[..., None], 3, -1)
            pixels = np.empty((image.height, image.width, 3), np.uint8)
            for top in range(0, image.height, ROWS):
                box = (0, top, image.width, min(top + ROWS, image.height))
                part = image.crop(box).convert("RGB")
                pixels[top : box[3]] = np.asarray(part)
            return pixels
    except Exception as error:  # Pillow's are many, for files that are damaged.
        raise ValueError(f"Pillow can't read it: {error}") from error


def deep_values(image):
    """uint16 array `(height, width)` of a Pillow image of mode `I;16`.

    Pillow leaves 12 bits of a TIFF file as they are, and 0 where it is white.
    """
    values = np.asarray(image).astype(np.uint16, copy=False)
    tags = getattr(image, "tag_v2", {})
    if tags.get(BITS) == (12,):
        values = values << 4 | values >> 8
    return 65535 - values if tags.get(PHOTOMETRIC) == 0 else values
