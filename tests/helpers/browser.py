"""Pages in a real browser: Debian's Chromium, driven by Playwright."""

import contextlib
import importlib.util
import os
import pathlib
import shutil
import urllib.parse

CHROMIUM = pathlib.Path(
    os.environ.get("CHROMIUM") or shutil.which("chromium") or "/none"
)


def available():
    """Whether Playwright and Chromium are installed.

    Raises:
        RuntimeError: if they are not and `REQUIRE_BROWSER` is set, as `make
            test-browser` does: no test is skipped there in silence.
    """
    found = importlib.util.find_spec("playwright") and CHROMIUM.is_file()
    if not found and os.environ.get("REQUIRE_BROWSER"):
        raise RuntimeError(f"Playwright or Chromium ({CHROMIUM}) is missing.")
    return bool(found)


@contextlib.contextmanager
def browser_page(width, height, dark=False):
    """Opens a browser with one empty page.

    Args:
        width, height: ints, of the window, in pixels.
        dark: bool, whether the user prefers dark pages.

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
