"""Photographs as files: read to the last bit, written whole or not at all."""

import collections
import pathlib
import struct
import zlib

from keras_csc_cli.command_line import UsageError

import numpy as np
import tensorflow as tf
from PIL import Image
from scipy import ndimage

from keras_csc.data.image_files import BITS
from keras_csc.data.image_files import deep_values
from keras_csc.data.image_files import opened
from keras_csc.data.images import ORIENTATION
from keras_csc.data.images import upright
from keras_csc.files import replacing

WRITTEN = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
# Pixels a side at most, of libjpeg and of libwebp.
MOST_SIDES = {".jpg": 65_500, ".jpeg": 65_500, ".webp": 16_383}
WITH_ALPHA = (".png", ".webp", ".tif", ".tiff")
QUALITY = 95
PNG_HEADER = 33  # bytes: the signature and the first chunk

Picture = collections.namedtuple(
    "Picture", ["pixels", "alpha", "depth", "profile", "dropped"], defaults=[()]
)
Picture.__doc__ = """A photograph, upright.

Fields:
    pixels: float32 array `(height, width, 1 or 3)` in `[0, 1]`.
    alpha: float32 array `(height, width, 1)`, or `None`.
    depth: int, bits of a value, 8 or 16.
    profile: bytes of its ICC profile, or `None`; one of other colours, as of
        a CMYK file, is dropped.
    dropped: tuple of what of the file is not in the picture, in words.
"""


def read(path):
    """Reads an image file.

    Raises:
        UsageError: if it can't be read, or has too many pixels.
    """
    try:
        with opened(path) as image:
            # Pillow turns those of TIFF files itself.
            is_tiff = image.format == "TIFF"
            turn = 1 if is_tiff else image.getexif().get(ORIENTATION, 1)
            profile = image.info.get("icc_profile")
            values = _values(path, image)
            dropped = _dropped(image, values)
    except MemoryError:
        raise
    except Exception as error:  # Pillow's are many, for files that are damaged.
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path} can't be read: {reason}.") from error
    depth = 8 * values.dtype.itemsize
    values = upright(values, turn).astype("float32") / (2**depth - 1)
    channels = {1: 1, 2: 1, 3: 3, 4: 3}[values.shape[-1]]
    alpha = values[..., channels:] if channels < values.shape[-1] else None
    # The colours that a profile is of are the bytes 16 to 20 of its header.
    if profile and profile[16:20] != (b"GRAY" if channels == 1 else b"RGB "):
        profile, dropped = None, (*dropped, "its profile of other colours")
    return Picture(values[..., :channels], alpha, depth, profile, dropped)


def filled(picture):
    """Pixels, where nothing is visible those of the nearest visible ones."""
    if picture.alpha is None or not np.any(picture.alpha):
        return picture.pixels
    places = ndimage.distance_transform_edt(
        picture.alpha[..., 0] == 0, return_distances=False, return_indices=True
    )
    return picture.pixels[tuple(places)]


def check_size(path, height, width):
    """Raises `UsageError` for a picture that its format has no room for."""
    suffix = pathlib.Path(path).suffix.lower()
    most = MOST_SIDES.get(suffix)
    if most is not None and max(height, width) > most:
        raise UsageError(
            f"{path} would have {width}x{height} pixels, and {suffix} files "
            f"have at most {most:,} a side. Write a .png file."
        )


def lost(picture, path):
    """What of a picture the format of a path has no place for, in words."""
    suffix = pathlib.Path(path).suffix.lower()
    grey = picture.pixels.shape[-1] == 1 and picture.alpha is None
    kept = {
        "transparency": picture.alpha is None or suffix in WITH_ALPHA,
        "16 bits": picture.depth == 8 or _is_deep(suffix, grey),
        "the colour profile": not picture.profile or suffix != ".bmp",
    }
    return [name for name, is_kept in kept.items() if not is_kept]


def write(picture, path):
    """Writes a picture in the format that the path's ending says.

    Sixteen bits are kept in PNG, and in grey TIFF; alpha in PNG, TIFF and
    WebP.

    Raises:
        UsageError: if it can't be written.
    """
    path = pathlib.Path(path)
    try:
        with replacing(path) as temporary:
            _write(picture, temporary, path.suffix.lower())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path} can't be written: {reason}.") from error


def _values(path, image):
    """Integers `(height, width, channels)` of 8 or 16 bits."""
    if image.format == "PNG" and _png_depth(path) == 16:
        # Pillow keeps 8 of 16 bits of colours. TensorFlow makes alpha of a
        # transparent colour only beside three channels.
        clear = "transparency" in image.info
        values = tf.io.decode_png(
            tf.io.read_file(str(path)), 4 if clear else 0, tf.uint16
        ).numpy()
        return values[..., ::3] if clear and image.mode != "RGB" else values
    if image.mode.startswith("I;16"):
        return deep_values(image)[..., None]
    if image.mode in ("I", "F"):
        raise ValueError("it has pixels of 32 bits")
    clear = image.mode in ("LA", "La", "RGBA", "RGBa", "PA")
    clear = clear or "transparency" in image.info
    grey = image.mode in ("1", "L", "LA", "La")
    mode = ("LA" if clear else "L") if grey else ("RGBA" if clear else "RGB")
    values = np.asarray(image.convert(mode))
    return values[..., None] if values.ndim == 2 else values


def _dropped(image, values):
    """What Pillow's first picture of a file, as integers, is without."""
    found = []
    if image.format != "MPO":  # a JPEG file with what a camera adds
        try:
            several = getattr(image, "n_frames", 1) > 1
        except Exception:  # They are damaged, and the first one is not.
            several = True
        if several:
            found.append("its further pictures")
    if image.format == "TIFF" and values.dtype == np.uint8:
        bits = max(image.tag_v2.get(BITS, ()), default=8)
        if bits > 8:
            found.append(f"the last {bits - 8} of its {bits} bits")
    return tuple(found)


def _png_depth(path):
    with open(path, "rb") as file:
        head = file.read(25)
    return head[24] if len(head) == 25 else 8


def _write(picture, path, suffix):
    pixels, alpha = picture.pixels, picture.alpha
    if alpha is not None and suffix in WITH_ALPHA:
        pixels = np.concatenate([pixels, alpha], -1)
    grey = pixels.shape[-1] == 1
    deep = picture.depth == 16 and _is_deep(suffix, grey)
    most = 65535 if deep else 255
    values = np.rint(np.clip(pixels, 0, 1) * most)
    values = values.astype("uint16" if deep else "uint8")
    if deep and suffix == ".png":
        encoded = tf.io.encode_png(values).numpy()
        path.write_bytes(_with_profile(encoded, picture.profile))
        return
    image = Image.fromarray(values[..., 0] if grey else values)
    options = (
        {"quality": QUALITY} if suffix in (".jpg", ".jpeg", ".webp") else {}
    )
    if picture.profile and suffix != ".bmp":
        options["icc_profile"] = picture.profile
    image.save(path, **options)


def _is_deep(suffix, grey):
    """Whether files of a format are written with 16 bits."""
    return suffix == ".png" or grey and suffix in (".tif", ".tiff")


def _with_profile(png, profile):
    """A PNG file with an ICC profile, right after its header."""
    if not profile:
        return png
    chunk = b"iCCP" + b"ICC profile\0\0" + zlib.compress(profile)
    size, check = len(chunk) - 4, zlib.crc32(chunk)
    chunk = struct.pack(">I", size) + chunk + struct.pack(">I", check)
    return png[:PNG_HEADER] + chunk + png[PNG_HEADER:]
