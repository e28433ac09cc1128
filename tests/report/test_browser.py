"""The page in a real browser."""

import re

import numpy as np
import pytest

from keras_csc import report
from tests.helpers import browser
from tests.report.conftest import make

pytestmark = pytest.mark.skipif(
    not browser.available(), reason="Playwright or Chromium is not installed"
)

FOCUSED = """() => {
    const e = document.activeElement;
    return e.tagName + (e.getAttribute("href") || "");
}"""
IMAGES = """() => [...document.images].map(
    image => [image.complete && image.naturalWidth > 0, image.alt])"""
CELLS = """() => [...document.querySelectorAll('.heat td[style]')].map(cell => {
    const {color, backgroundColor} = getComputedStyle(cell);
    const card = getComputedStyle(cell.closest('section')).backgroundColor;
    return [color, backgroundColor, card];
})"""
SHARES = """() => document.querySelectorAll('.heat td[style]').forEach(
    (cell, n, all) =>
        cell.style.setProperty("--share", `${100 * n / (all.length - 1)}%`))"""
# Of the lines and the keys of every chart with a legend: colour and dashes.
LINES = """() => [...document.querySelectorAll('.legend')].map(legend =>
    ['.chart path', '.key .line'].map(which =>
        [...legend.parentElement.querySelectorAll(which)].map(line => {
            const {stroke, strokeDasharray} = getComputedStyle(line);
            return [stroke, strokeDasharray];
        })))"""
OPEN = "() => document.querySelectorAll('details').forEach(d => d.open = true)"


def rgba(text):
    """Red, green, blue in [0, 1] and opacity of a computed colour."""
    kind, rest = text.rstrip(")").split("(")
    numbers = [
        float(n) for n in re.findall(r"[\d.e-]+", rest.removeprefix("srgb"))
    ]
    scale = 1 if kind == "color" else 255
    return np.array(numbers[:3]) / scale, (numbers + [1])[3]


def luminance(colour):
    """Of WCAG 2."""
    low, high = colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4
    return np.where(colour <= 0.04045, low, high) @ (0.2126, 0.7152, 0.0722)


@pytest.mark.parametrize("dark", [False, True])
def test_similarities_of_every_size_can_be_read(labelled, dark):
    with browser.browser_page(1280, 800, dark) as page:
        page.goto(labelled[-1].as_uri())
        page.evaluate(SHARES)
        cells = page.evaluate(CELLS)
    assert len(cells) >= 9
    backgrounds = set()
    for cell in cells:
        (ink, _), (shade, opacity), (card, _) = map(rgba, cell)
        backgrounds.add(opacity)
        levels = (
            luminance(ink),
            luminance(opacity * shade + (1 - opacity) * card),
        )
        assert (max(levels) + 0.05) / (min(levels) + 0.05) >= 4.5, cell
    assert len(backgrounds) >= 9


def test_lines_differ_by_more_than_colour_and_keys_are_alike(tmp_path):
    log = [
        {"step": step, **{f"dead_atoms/stage_{n}": n * step for n in range(6)}}
        for step in (1, 2, 3)
    ]
    path = report.write_report(tmp_path / "page.html", make(), "a", log=log)
    with browser.browser_page(1280, 800) as page:
        page.goto(path.as_uri())
        ((lines, keys),) = page.evaluate(LINES)
    assert lines == keys
    assert len({dashes for _, dashes in lines}) == len(lines) == 6


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


def test_a_keyboard_reaches_everything_and_orders_the_atoms(labelled):
    with browser.browser_page(1280, 800) as page:
        page.goto(labelled[-1].as_uri())
        reached = set()
        for _ in range(40):
            page.keyboard.press("Tab")
            reached.add(page.evaluate(FOCUSED))
        links = {f"A#{key}" for key in ("content", "model", "atoms", "about")}
        assert reached >= links | {"SELECT", "SUMMARY"}
        page.locator("select").last.focus()
        page.keyboard.press("End")  # by number
        numbers = page.locator("[data-stage='2'] .card").evaluate_all(
            "cards => cards.map(card => Number(card.dataset.number))"
        )
        assert numbers == list(range(4))
        assert page.errors == []
