"""Pages of HTML: templates in files, and what fills them.

Templates are Jinja's, with styles and scripts in files beside them. A text that
fills a template stays text: a class that is called `<script>` is a class.
"""

import base64
import functools
import hashlib
import io
import pathlib

import jinja2
import numpy as np
from PIL import Image

from keras_csc.pixels import to_pixels

FOLDER = pathlib.Path(__file__).parent


@functools.cache
def template(name):
    """A template of this folder.

    `render(**values)` is its text; its macros are functions of its `module`.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=name.endswith(".html"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        address=address,
        count=count,
        digest=digest,
        percent=percent,
        shown=shown,
    )
    environment.globals.update(file=file, zip=zip)
    return environment.get_template(name)


def file(name):
    """The text of a file of this folder, such as a style."""
    return (FOLDER / name).read_text(encoding="utf-8")


def digest(script):
    """What a page's policy calls a script that it allows: no other one runs."""
    found = hashlib.sha256(script.encode("utf-8")).digest()
    return "sha256-" + base64.b64encode(found).decode("ascii")


def address(pixels, kind="png"):
    """A picture as an address; a JPEG is a fifth as long, and not exact.

    Of floats in [-1, 1], or of uint8, which may have one more channel, opacity.
    """
    if np.issubdtype(pixels.dtype, np.floating):
        pixels = to_pixels(pixels)
    written = io.BytesIO()
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.save(written, format=kind)
    return f"data:image/{kind};base64," + base64.b64encode(
        written.getvalue()
    ).decode("ascii")


def shown(pixels, side=None):
    """How large a picture is on the screen.

    A small one is enlarged by whole pixels, if that comes near to the side,
    which is by default its own longer one.

    Returns:
        `(width, height, smooth)`, the last one whether pixels are no squares.
    """
    height, width = pixels.shape[:2]
    longest = max(height, width)
    side = side or longest
    whole = side // longest * longest
    scale = (whole if whole >= 0.75 * side else side) / longest
    return round(width * scale), round(height * scale), scale % 1 > 0


def percent(share):
    """A share as text: `12%`, `0.4%`, `under 0.1%`, `0%`."""
    number = 100 * share
    if 0 < number < 0.1:
        return "under 0.1%"
    digits = 0 if number >= 9.95 or number == 0 else 1
    return f"{number:.{digits}f}%"


def count(number, noun):
    """`1 atom`, `1,024 atoms`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
