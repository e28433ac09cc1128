"""Debian's Chromium, driven by Playwright."""

import contextlib
import os

CHROMIUM = "/usr/bin/chromium"


def available():
    """Whether Playwright and Chromium are here."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return False
    return os.path.exists(CHROMIUM)


@contextlib.contextmanager
def browser_page(width, height, dark=False):
    """A page of a browser of its own.

    Args:
        width, height: ints, pixels of its window.
        dark: bool, whether the user prefers dark pages.

    Yields:
        Playwright's `Page`, whose list `errors` has what the console told of
        errors, and its list `requests` the URLs that were asked for.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        try:
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme="dark" if dark else "light",
            )
            page.errors, page.requests = [], []
            page.on(
                "console",
                lambda message: (
                    page.errors.append(message.text)
                    if message.type == "error"
                    else None
                ),
            )
            page.on("pageerror", lambda error: page.errors.append(str(error)))
            page.on("request", lambda r: page.requests.append(r.url))
            yield page
        finally:
            browser.close()
