"""Image files of a folder: found, each once, and looked at by Pillow."""

import collections
import contextlib
import os
import stat
import typing
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf
from PIL import Image

from keras_csc.data import images
from keras_csc.data.decoding import MAX_PIXELS
from keras_csc.terminal import Progress
from keras_csc.validation import plain

EXTENSIONS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp"),
    *(".tif", ".tiff"),
)
UNREAD = (".avif", ".heic", ".heif", ".jp2", ".jxl", ".ppm", ".pgm", ".tga")
SHOWN = 3


class LeftOut:
    """What of a folder is left out, and why.

    Args:
        root: the folder.
    """

    def __init__(self, root):
        self.root = root
        self.reasons = collections.defaultdict(list)

    def add(self, reason, path):
        self.reasons[reason].append(path)

    def __str__(self):
        """One line, or nothing."""
        count = sum(map(len, self.reasons.values()))
        if not count:
            return ""
        parts = []
        for reason, paths in sorted(self.reasons.items()):
            names = ", ".join(map(printable, paths[:SHOWN]))
            more = ", ..." if len(paths) > SHOWN else ""
            parts.append(f"{len(paths)} {reason} ({names}{more})")
        entries = "1 entry" if count == 1 else f"{count} entries"
        return (
            f"{entries} of {printable(self.root)} left out: {'; '.join(parts)}."
        )


def printable(path):
    """A path for a message of one line, whatever is in it."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def find_images(root, left_out, seen=None):
    """Paths of a folder's image files, relative to it.

    Only regular files count, each once, and folders that can be listed. No
    link is followed: what it leads to is in the folder anyway, or not part of
    it. What begins with a dot is not looked at.

    Args:
        root: path of the folder.
        left_out: `LeftOut` that is told what else there is.
        seen: set of the identities of files that do not count, or `None`.
            The files that are found are added to it.

    Returns:
        List of paths, sorted within every folder.
    """
    seen = set() if seen is None else seen
    found, waiting, folders = [], [""], set()
    while waiting:
        relative = waiting.pop()
        try:
            folder = os.path.join(root, relative)
            identity = _identity(os.stat(folder))
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            left_out.add(f"unreadable: {error.strerror}", relative or root)
            continue
        if identity in folders:
            left_out.add("seen before", relative)
            continue
        folders.add(identity)
        for entry in entries:
            path = os.path.join(relative, entry.name)
            if entry.name.startswith("."):
                continue
            reason = _reason(entry, seen)
            if reason is None:
                found.append(path)
            elif reason == "folder":
                waiting.append(path)
            elif reason:
                left_out.add(reason, path)
    return found


def _identity(status):
    return status.st_dev, status.st_ino


def _reason(entry, seen):
    """Why an entry is no image: `None` if it is one, "" if it looks like none.

    An image with several names is told by `seen`.
    """
    named = entry.name.lower().endswith(EXTENSIONS)
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError as error:
        return f"unreadable: {error.strerror}" if named else ""
    mode = status.st_mode
    if stat.S_ISLNK(mode):
        return "links" if named or os.path.isdir(entry.path) else ""
    if not (named or stat.S_ISDIR(mode)):
        unread = entry.name.lower().endswith(UNREAD) and stat.S_ISREG(mode)
        return "of a format that is not read" if unread else ""
    if not is_utf8(entry.name):
        return "with names that are not UTF-8"
    if stat.S_ISDIR(mode):
        return "folder"
    if not stat.S_ISREG(mode):
        return "neither files nor folders"
    if status.st_nlink > 1:
        if _identity(status) in seen:
            return "other names of a file that counts"
        seen.add(_identity(status))
    return None


def is_utf8(name):
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


MAX_BYTES = 5 * MAX_PIXELS
JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n"
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
ROWS = 256  # that Pillow reads at a time
CHUNK = 64  # files, which a thread checks
# What Pillow may read: its plugins for others run other programs.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
# Of them it reads all of a WebP file to tell its size.
SIZED = FORMATS[:-1]
# TIFF's tags of bits a sample, and of what a sample of 0 is.
BITS, PHOTOMETRIC = 258, 262

_decodable = set()


class Check(typing.NamedTuple):
    """What was found of a file.

    Args:
        problem: why it can't be read, or `""`.
        is_tiff: bool, whether Pillow is to read it.
        size: `(height, width)`, or `None` where only decoding can tell.
    """

    problem: str
    is_tiff: bool = False
    size: tuple | None = None


def check_files(paths, progress):
    """A `Check` of every file; a text says what its progress is of."""
    progress = Progress(progress, len(paths))
    checks = []
    chunks = [paths[i : i + CHUNK] for i in range(0, len(paths), CHUNK)]
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        warnings.simplefilter("ignore")  # Pillow's, of damaged files.
        for found in pool.map(lambda chunk: [*map(check_file, chunk)], chunks):
            checks += found
            progress.update(len(checks))
    return checks


def check_file(path):
    """A `Check` of a regular file, of its first and last bytes.

    One that does not look whole is decoded, once in a process.
    """
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if status.st_size > MAX_BYTES:
                return Check(
                    f"{status.st_size:,} bytes, more than {MAX_BYTES:,}"
                )
            head = file.read(16)
            file.seek(max(0, status.st_size - 8))
            tail = file.read()
            size = _size(file)
    except OSError as error:
        return Check(error.strerror or type(error).__name__)
    except Image.DecompressionBombError:
        return Check(f"more than {MAX_PIXELS:,} pixels in all: make it smaller")
    found = Check("", head.startswith(TIFF), size)
    if size and size[0] * size[1] > MAX_PIXELS:
        return found._replace(problem=_too_many(*size[::-1]))
    whole = head.startswith(JPEG) and tail.endswith(b"\xff\xd9")
    whole |= head.startswith(PNG) and tail == b"IEND\xaeB`\x82"
    # libpng passes over a chunk before the header, which may tell another size.
    if head.startswith(PNG) and head[12:] != b"IHDR":
        whole, found = False, found._replace(size=None)
    identity = hash((path, status.st_size, status.st_mtime_ns))
    if (whole and size) or identity in _decodable:
        return found
    try:
        # Pillow, which does not print what it finds, comes first.
        read_pixels(path)
        if not found.is_tiff:
            images.read(tf.io.read_file(str(path)), (1, 1, 3))
    except (ValueError, tf.errors.InvalidArgumentError) as error:
        return found._replace(problem=plain(error))
    _decodable.add(identity)
    return found


def _size(file):
    """`(height, width)`, or `None` where only decoding can tell."""
    try:
        with Image.open(file, formats=SIZED) as image:
            return image.height, image.width
    except Image.DecompressionBombError:
        raise
    except Exception:  # Pillow's are many, for files that are damaged.
        return None


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
