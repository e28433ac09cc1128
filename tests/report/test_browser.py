"""The page in a real browser."""

import pytest

from tests.helpers import browser

pytestmark = pytest.mark.skipif(
    not browser.available(), reason="Playwright or Chromium is not installed"
)

FOCUSED = """() => {
    const e = document.activeElement;
    return e.tagName + (e.getAttribute("href") || "");
}"""
IMAGES = """() => [...document.images].map(
    image => [image.complete && image.naturalWidth > 0, image.alt])"""
OPEN = "() => document.querySelectorAll('details').forEach(d => d.open = true)"


@pytest.mark.parametrize("width, dark", [(1280, False), (390, True)])
def test_pages_fit_the_window_and_ask_for_nothing(
    labelled, of_maps, width, dark
):
    with browser.browser_page(width, 800, dark) as page:
        for path in (labelled[-1], of_maps[-1]):
            page.goto(path.as_uri())
            page.evaluate(OPEN)
            size = page.evaluate("() => document.documentElement.scrollWidth")
            assert size <= width
            images = page.evaluate(IMAGES)
            assert len(images) > 20
            assert all(loaded and alt for loaded, alt in images)
            assert path.stat().st_size < 5_000_000
        color = page.evaluate("() => getComputedStyle(document.body).color")
        is_light = sum(map(int, color[4:-1].split(","))) > 3 * 128
        assert is_light == dark
        assert page.errors == []
        assert all(url.startswith(("file:", "data:")) for url in page.requests)
        assert page.evaluate("() => window.alerted") is None


def test_a_keyboard_reaches_everything(labelled):
    with browser.browser_page(1280, 800) as page:
        page.goto(labelled[-1].as_uri())
        reached = set()
        for _ in range(40):
            page.keyboard.press("Tab")
            reached.add(page.evaluate(FOCUSED))
        links = {f"A#{key}" for key in ("content", "model", "atoms", "about")}
        assert reached >= links | {"SUMMARY"}
        assert page.errors == []
