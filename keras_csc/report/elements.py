"""Parts of a page: pictures, figures, tables, sections."""

import numpy as np
from PIL import Image

from keras_csc.html import data_uri
from keras_csc.html import element
from keras_csc.html import written
from keras_csc.pixels import to_pixels

LEVELS = 16  # of shades: few, for their size


def document(root):
    """Text of a page."""
    return "<!doctype html>\n" + written(root)


def picture(pixels, alt, width=None, **attributes):
    """An image element that holds its pixels.

    They stay squares where its width is a whole number of them.

    Args:
        pixels: array `(height, width, channels)`, floats in [-1, 1] or uint8;
            1 or 3 channels, and one more of uint8 for opacity.
        alt: str, what is to be seen.
        width: number, of the image on the screen, in pixels; by default its
            own.
        **attributes: as of `element`.
    """
    if np.issubdtype(pixels.dtype, np.floating):
        pixels = to_pixels(pixels)
    height, own, channels = pixels.shape
    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    width = width or own
    if width % own:
        attributes = {"class_": "smooth", **attributes}
    return element(
        "img",
        src=data_uri(image, optimize=True),
        alt=alt,
        width=round(width),
        height=round(width * height / own),
        **attributes,
    )


def shades(values, color):
    """Address of a PNG of numbers in [0, 1], which are the opacity.

    Whatever is behind it is what 0 looks like.

    Args:
        values: array `(height, width)`; NaN is 0.
        color: tuple of the red, green and blue of 1, ints.
    """
    steps = np.rint(np.nan_to_num(values) * (LEVELS - 1)).astype("uint8")
    image = Image.fromarray(steps, mode="P")
    image.putpalette(color * LEVELS)
    opacity = bytes(np.rint(np.linspace(0, 255, LEVELS)).astype("uint8"))
    return data_uri(image, optimize=True, transparency=opacity, bits=4)


def figure(*content, caption=None, **attributes):
    """A figure with its caption below."""
    if caption is not None:
        content = (*content, element("figcaption", caption))
    return element("figure", *content, **attributes)


def table(rows, head=None, **attributes):
    """A table whose first column names its rows.

    Args:
        rows: list of lists of contents.
        head: list of contents above, or `None`.
    """
    parts = []
    if head is not None:
        cells = [element("th", each, scope="col") for each in head]
        parts.append(element("thead", element("tr", cells)))
    body = [
        element(
            "tr",
            element("th", first, scope="row"),
            [element("td", each) for each in rest],
        )
        for first, *rest in rows
    ]
    parts.append(element("tbody", body))
    return element("div", element("table", parts, **attributes), class_="wide")


def folded(summary, *content):
    """Content that a reader unfolds."""
    return element("details", element("summary", summary), *content)


def section(key, title, *content):
    """A section with its heading, which links of the page lead to."""
    return element(
        "section",
        element("h2", title, id=f"{key}-title"),
        *content,
        id=key,
        aria_labelledby=f"{key}-title",
    )


def paragraph(*content, **attributes):
    return element("p", *content, **attributes)


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
