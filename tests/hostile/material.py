"""What cases are made of: files, links, image files, folders of images."""

import hashlib
import io
import os
import pathlib
import stat
import struct
import zlib

import numpy as np
from PIL import Image

# === Files ===


def write(path, content=""):
    """Writes text or bytes, and returns the path."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        content = content.encode()
    path.write_bytes(content)
    return path


def cut(path):
    """Leaves the first half of a file."""
    content = pathlib.Path(path).read_bytes()
    write(path, content[: len(content) // 2])


def flip(path):
    """Flips the bits of a byte in the middle of a file."""
    content = bytearray(pathlib.Path(path).read_bytes())
    content[len(content) // 2] ^= 0xFF
    write(path, bytes(content))


def fifo(path):
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)


def link(path, target):
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    os.symlink(target, path)


def digests(folder="."):
    """Dict from the names of all that is below a folder to its digest."""
    return {
        os.path.relpath(os.path.join(where, name), folder): _digest(where, name)
        for where, folders, files in os.walk(folder)
        for name in (*folders, *files)
    }


def _digest(where, name):
    path = os.path.join(where, name)
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        return f"link to {os.readlink(path)}"
    if not stat.S_ISREG(mode):
        return str(stat.S_IFMT(mode))
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# === Images ===


def encoded(mode="RGB", size=(16, 16), seed=0, kind="PNG"):
    """Bytes of an image file of noise."""
    channels = {"L": 1, "P": 1}.get(mode, 3)
    shape = (size[1], size[0], channels)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    picture = Image.fromarray(pixels.squeeze()).convert(mode)
    file = io.BytesIO()
    picture.save(file, format=kind)
    return file.getvalue()


def images(folder, count=12, seed=0, mode="RGB"):
    """Writes PNG files `0.png`, `1.png`, ..., all different."""
    for number in range(count):
        write(f"{folder}/{number}.png", encoded(mode, seed=seed + number))


def png(width, height, rows=None):
    """Bytes of a grey PNG of zeros, as long as it says, or of fewer rows."""
    packer = zlib.compressobj()
    row = bytes(width + 1)
    rows = height if rows is None else rows
    data = b"".join(packer.compress(row) for _ in range(rows))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", data + packer.flush()), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )


def gif(width, height):
    """Bytes of a GIF whose header says another size than it has."""
    small = encoded("P", kind="GIF")
    return small[:6] + struct.pack("<HH", width, height) + small[10:]


def bmp(width, height):
    """Bytes of a BMP whose header says another size than it has."""
    small = encoded(kind="BMP")
    return small[:18] + struct.pack("<ii", width, height) + small[26:]


# Files that are none, or that nobody wants. They are made when they are
# needed: some take a second.
BAD = {
    "no bytes": lambda: b"",
    "text": lambda: b"not an image",
    "HTML": lambda: b"<html><body>404</body></html>",
    "a PNG's header": lambda: encoded("L")[:33],
    "a PNG that is cut": lambda: encoded("L")[:-40],
    "a PNG of wrong checksums": lambda: (
        encoded("L")[:45] + b"x" + encoded("L")[46:]
    ),
    "a JPEG that is cut": lambda: encoded("L", kind="JPEG")[:200],
    "a GIF's header": lambda: encoded("P", kind="GIF")[:13],
    "a GIF of 65535 x 65535": lambda: gif(65535, 65535),
    "a BMP of 2 billion pixels": lambda: bmp(65535, 32767),
    "a BMP of no width": lambda: bmp(0, 16),
    "a BMP of negative width": lambda: bmp(-16, 16),
    "SVG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"></svg>',
    "a PNG of 30,000 x 30,000": lambda: png(30_000, 30_000, 3),
    "a PNG of 2 billion x 1": lambda: png(2_000_000_000, 1, 0),
    "a PNG of no width": lambda: png(0, 16),
}
# Read, or left out; no harm.
EXTREME = ((300_000, 1), (1_000_000, 1), (1, 300_000))
