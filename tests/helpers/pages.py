"""Pages: their elements and pictures, in a real browser, and in Markdown.

The browser is Debian's Chromium, driven by Playwright.
"""

import base64
import contextlib
import html.parser
import importlib.util
import io
import os
import pathlib
import re
import shutil
import urllib.parse

import numpy as np
from PIL import Image

VOID = ("meta", "img", "input")


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


def blocks(text, language):
    """The blocks of code in a language, in their order."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


# === In a browser ===

CHROMIUM = pathlib.Path(
    os.environ.get("CHROMIUM") or shutil.which("chromium") or "/none"
)


def available():
    """Whether pages are tested: `make test-browser` sets `REQUIRE_BROWSER`.

    Raises:
        RuntimeError: if Playwright or Chromium is missing then.
    """
    if not os.environ.get("REQUIRE_BROWSER"):
        return False
    if not (importlib.util.find_spec("playwright") and CHROMIUM.is_file()):
        raise RuntimeError(f"Playwright or Chromium ({CHROMIUM}) is missing.")
    return True


@contextlib.contextmanager
def browser_page(width, height, dark=False, scripts=True):
    """Opens a browser with one empty page.

    Args:
        width, height: ints, of the window, in pixels.
        dark: bool, whether the user prefers dark pages.
        scripts: bool, whether scripts of pages run.

    Yields:
        A Playwright page. Its `errors` are a list of what was written to the
        console as an error and of the scripts' exceptions, `requests` one of
        the addresses that it asked for.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox"]
        )
        try:
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme="dark" if dark else "light",
                java_script_enabled=scripts,
            )
            page.errors, page.requests = [], []
            page.on("pageerror", lambda error: page.errors.append(str(error)))
            page.on("console", lambda each: _keep_error(page, each))
            page.on("request", lambda each: page.requests.append(each.url))
            yield page
        finally:
            browser.close()


def quiet(page):
    """Yields an empty page of `browser_page`, for one test.

    Raises:
        AssertionError: if what was opened in it then wrote an error to the
            console, or asked another host.
    """
    # What a page was still asking for is no error of the next one.
    page.goto("about:blank")
    page.errors.clear()
    page.requests.clear()
    yield page
    assert not page.errors
    assert page.requests
    for url in page.requests:
        parts = urllib.parse.urlsplit(url)
        own = parts.scheme in ("data", "blob") or parts.hostname == "127.0.0.1"
        assert own, url


def _keep_error(page, message):
    if message.type == "error":
        page.errors.append(message.text)
