"""Pages of HTML: their elements, and the pixels of their pictures."""

import base64
import html.parser
import io

import numpy as np
from PIL import Image

VOID = ("meta", "img")


class Page(html.parser.HTMLParser):
    """Elements `[tag, attributes, text]` in order, all closed as they must.

    None of them has a handler of events. `words` are the texts between tags.
    """

    def __init__(self, source):
        super().__init__()
        self.elements, self.open, self.words = [], [], []
        self.source = source
        self.feed(source)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        assert not any(name.startswith("on") for name, _ in attributes)
        self.elements.append([tag, dict(attributes), ""])
        if tag not in VOID:
            self.open.append(self.elements[-1])

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        self.words.append(data.strip())
        for each in self.open:
            each[2] += data

    def all(self, tag, class_=None):
        return [
            each
            for each in self.elements
            if each[0] == tag
            and (class_ is None or class_ in each[1].get("class", "").split())
        ]

    def ids(self):
        return [e[1]["id"] for e in self.elements if "id" in e[1]]

    def section(self, key):
        (found,) = [e for e in self.elements if e[1].get("id") == key]
        return found[2]

    def pictures(self):
        """Pixels of all pictures."""
        return [pixels(each) for each in self.all("img")]


def pixels(image):
    """Pixels of the element of a picture."""
    kind, _, data = image[1]["src"].partition(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
