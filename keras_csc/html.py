"""Elements of HTML: what is given as text stays text.

Elements are those of `xml.etree.ElementTree`, which writes every text and
attribute escaped: a class that is called `<script>` is a class.
"""

import base64
import collections.abc
import io
from xml.etree import ElementTree


def element(tag, *content, **attributes):
    """An element of HTML or SVG.

    Args:
        tag: str.
        *content: elements, texts and numbers, or several of them; `None`
            is left out.
        **attributes: by name, `class_` for `class` and `data_key` for
            `data-key`; `None` is left out, and `True` has no value.

    Returns:
        An `xml.etree.ElementTree.Element`.
    """
    made = ElementTree.Element(tag)
    for name, value in attributes.items():
        if value is not None:
            name = name.rstrip("_").replace("_", "-")
            made.set(name, "" if value is True else str(value))
    _fill(made, content)
    return made


def _fill(parent, content):
    for each in content:
        if isinstance(each, ElementTree.Element):
            parent.append(each)
        elif _is_several(each):
            _fill(parent, each)
        elif each is not None and len(parent):
            parent[-1].tail = (parent[-1].tail or "") + str(each)
        elif each is not None:
            parent.text = (parent.text or "") + str(each)


def _is_several(content):
    is_iterable = isinstance(content, collections.abc.Iterable)
    return is_iterable and not isinstance(content, str)


def written(*elements):
    """Text of elements, one after another."""
    return "".join(
        ElementTree.tostring(each, encoding="unicode", method="html")
        for each in elements
    )


def data_uri(image, **options):
    """A PNG of a Pillow image as an address.

    Args:
        image: `PIL.Image.Image`.
        **options: of its `save`.
    """
    file = io.BytesIO()
    image.save(file, format="PNG", **options)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
