"""Image files of a folder: found, each once, and looked at by Pillow."""

import collections
import contextlib
import os
import stat
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image
from PIL import UnidentifiedImageError

from keras_csc.data.images import MAX_PIXELS
from keras_csc.terminal import Progress
from keras_csc.validation import plain

EXTENSIONS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp"),
    *(".tif", ".tiff"),
)
UNREAD = (".avif", ".heic", ".heif", ".jp2", ".jxl", ".ppm", ".pgm", ".tga")
SHOWN = 3
MAX_BYTES = 5 * MAX_PIXELS
CHUNK = 64  # files, which a thread checks
# Formats for Pillow: its plugins for some others run other programs.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
# TIFF's tags of the bits of a sample, and of the colour of a sample of 0.
BITS, PHOTOMETRIC = 258, 262


class LeftOut:
    """What of a folder is left out, and why."""

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

    Regular files count, each once, in folders that can be listed. Links are not
    followed: what a link leads to is in the folder anyway, or not part of it.
    Names that begin with a dot are passed over. `left_out` is told what else
    looks like images or folders. The set `seen` has the identities of files
    with several names. A file in this set does not count; others are added.

    Returns:
        List of paths, sorted within every folder.
    """
    seen = set() if seen is None else seen
    found = []

    def unreadable(error):
        path = os.path.relpath(error.filename, root)
        left_out.add(f"unreadable: {error.strerror}", path)

    for folder, folders, names in os.walk(root, onerror=unreadable):
        inner = os.path.relpath(folder, root).removeprefix(".")
        names = sorted(n for n in (*folders, *names) if n[0] != ".")
        folders.clear()
        for name in names:
            path = os.path.join(inner, name)
            reason = _reason(os.path.join(folder, name), name, seen)
            if reason == "folder":
                folders.append(name)
            elif reason == "image":
                found.append(path)
            elif reason:
                left_out.add(reason, path)
    return found


def _reason(path, name, seen):
    """What an entry is: `"folder"`, `"image"`, or why it is left out.

    `None` if it looks like no image. `seen` is as in `find_images`.
    """
    status = os.lstat(path)
    mode = status.st_mode
    named = name.lower().endswith(EXTENSIONS)
    if stat.S_ISLNK(mode):
        return "links" if named or os.path.isdir(path) else None
    if not (named or stat.S_ISDIR(mode)):
        unread = name.lower().endswith(UNREAD) and stat.S_ISREG(mode)
        return "of a format that is not read" if unread else None
    if not is_utf8(name):
        return "with names that are not UTF-8"
    if stat.S_ISDIR(mode):
        return "folder"
    if not stat.S_ISREG(mode):
        return "neither files nor folders"
    if status.st_nlink > 1:
        identity = status.st_dev, status.st_ino
        if identity in seen:
            return "other names of a file that counts"
        seen.add(identity)
    return "image"


def is_utf8(name):
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_files(paths, progress):
    """What `check_file` says of files; `progress` is the text of a line."""
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
    """Looks at a regular file.

    TensorFlow is to read JPEG and PNG files that look whole by their first
    and last bytes. Pillow is to read all others, and tries that now.

    Returns:
        `(problem, by_pillow, size)`: why it can't be read, or `""`; whether
        Pillow reads it; its `(height, width)`, or `None` with a problem.
    """
    try:
        with opened(path) as image:
            size, whole = (image.height, image.width), _looks_whole(image)
        if not whole:
            read_pixels(path)
    except Exception as error:  # Pillow's are many, for files that are damaged.
        return getattr(error, "strerror", None) or plain(error), False, None
    return "", not whole, size


def _looks_whole(image):
    """Whether a Pillow image is of a JPEG or PNG file that has its end.

    A PNG file must also begin with its header: libpng skips chunks before it.
    """
    if image.format not in ("JPEG", "MPO", "PNG"):
        return False
    image.fp.seek(-8, os.SEEK_END)
    tail = image.fp.read()
    if image.format != "PNG":
        return tail.endswith(b"\xff\xd9")
    image.fp.seek(12)
    return image.fp.read(4) + tail == b"IHDRIEND\xaeB`\x82"


@contextlib.contextmanager
def opened(path):
    """A Pillow image of a file that is not too large, no pixels read yet."""
    # By its path Pillow may map a file, wrongly if it lies on its side.
    with open(path, "rb") as file:
        length = os.fstat(file.fileno()).st_size
        if length > MAX_BYTES:
            raise ValueError(f"{length:,} bytes, more than {MAX_BYTES:,}")
        try:
            image = Image.open(file, formats=FORMATS)
        except UnidentifiedImageError as error:  # It has Python's `file` in it.
            formats = ", ".join(FORMATS)
            raise ValueError(f"no image of the formats {formats}") from error
        with image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise ValueError(
                    f"{width}x{height} pixels, more than {MAX_PIXELS:,} in "
                    "all: make it smaller"
                )
            yield image


def read_pixels(path):
    """Reads a file with Pillow: uint8 (height, width, 3).

    Raises:
        ValueError: for a file that Pillow can't read, or with pixels of 32
            bits.
    """
    try:
        with opened(path) as image:
            if image.mode in ("I", "F"):
                raise ValueError("pixels of 32 bits")
            if image.mode.startswith("I;16"):
                grey = (deep_values(image) >> 8).astype(np.uint8)
                return np.repeat(grey[..., None], 3, -1)
            return np.asarray(image.convert("RGB"))
    except Exception as error:  # Pillow's are many, for files that are damaged.
        raise ValueError(f"Pillow can't read it: {error}") from error


def deep_values(image):
    """uint16 array `(height, width)` of a Pillow image of mode `I;16`.

    Pillow neither scales 12 bits of a TIFF file to 16, nor inverts a file in
    which 0 is white. Both are done here.
    """
    values = np.asarray(image).astype(np.uint16, copy=False)
    tags = getattr(image, "tag_v2", {})
    if tags.get(BITS) == (12,):
        values = values << 4 | values >> 8
    return 65535 - values if tags.get(PHOTOMETRIC) == 0 else values
