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


def encoded(size=(16, 16), seed=0):
    """Bytes of a PNG file of noise."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (*size, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def images(folder, count=12, seed=0):
    """Writes PNG files `0.png`, `1.png`, ..., all different."""
    for number in range(count):
        write(f"{folder}/{number}.png", encoded(seed=seed + number))


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
