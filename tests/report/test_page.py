"""What the page of a model holds, and what it must not; and in a browser."""

import base64
import hashlib
import re

import keras
import numpy as np
import pytest

from keras_csc import html
from keras_csc import report
from keras_csc.metrics import class_similarity
from tests.helpers import pages as browser
from tests.helpers.pages import Page
from tests.helpers.pages import pixels
from tests.helpers.reference_loop import spread_autoencoder

NAMES = ["<script>alerted = 1</script>", 'a & "b"' + "x" * 120, "Ünï"]
CARD = {
    "recipe": {"game": {"objective": "multi"}, "steps": 50},
    "training": {"sessions": [{"command": "train <b>"}]},
    "evaluation": {
        "psnr": 12.25,
        "ssim": None,
        "zero_fraction": [0.5, 0.75],
        "psnr_of": {"pca": 20.0},
        "linear_probe_accuracy": 0.5,
        "nearest_subspace_accuracy": 0.25,
    },
}


def make(seed=0, **changes):
    keras.utils.set_random_seed(seed)
    return spread_autoencoder(**{"nonnegative": True, **changes})


def draw(count, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 8, 8, channels), np.uint8)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A model of grey vectors, its images and labels, and their page."""
    model, images = make(), draw(45)
    labels = np.arange(45) % 3
    labels[::9] = -1
    model.fit_density(images, labels)
    model.name_atom(1, 0, "seam <i>")
    path = report.write_report(
        tmp_path_factory.mktemp("labelled") / "page.html",
        model,
        "name <i>",
        images,
        labels,
        NAMES,
        CARD,
        "Images of <u>.",
    )
    return model, images, labels, path


@pytest.fixture(scope="module")
def of_maps(tmp_path_factory):
    """The same of colour maps, without labels and card."""
    model = make(features="map", image_shape=(8, 8, 3))
    images = draw(12, 3)
    path = tmp_path_factory.mktemp("maps") / "page.html"
    return model, images, report.write_report(path, model, "maps", images)


@pytest.fixture(scope="module")
def page(labelled):
    return Page(labelled[3].read_text())


# === The page ===


def test_all_parts_are_there_and_linked(page):
    ids = page.ids()
    assert len(ids) == len(set(ids))
    links = [each[1]["href"][1:] for each in page.all("a")]
    assert set(links) <= set(ids)
    expected = (
        "model reconstructions growing drawn atoms classes subspaces "
        "samples about"
    )
    assert " ".join(links).startswith(f"content {expected} ")
    regions = [e[1] for e in page.all("div") if e[1].get("role") == "region"]
    labels = [region["aria-label"] for region in regions]
    assert labels == ["Similarities of classes"]
    assert len(page.all("h1")) == len(page.all("main")) == 1
    assert len(page.all("h2")) == len(page.all("section"))


def test_texts_are_texts(page):
    """What comes from outside is never markup."""
    assert not page.all("i") and not page.all("u")
    assert page.all("h1")[0][2] == "name <i>"
    assert NAMES[0] in page.section("samples")
    assert "Stage 1, atom 0: seam <i>" in page.section("atoms")
    assert "train <b>" in page.section("about")
    # It has one script, its own, and no other one may run.
    (script,) = page.all("script")
    digest = hashlib.sha256(script[2].encode()).digest()
    allowed = f"'sha256-{base64.b64encode(digest).decode()}'"
    (policy,) = [
        each[1]["content"]
        for each in page.all("meta")
        if each[1].get("http-equiv") == "Content-Security-Policy"
    ]
    assert "default-src 'none'" in policy
    assert policy.partition("script-src ")[2] == allowed
    assert not re.search("https?://", page.source)


def test_images_say_what_they_are(page):
    images = page.all("img")
    assert len(images) > 50
    for image in images:
        assert image[1]["alt"].strip()
        height, width = pixels(image).shape[:2]
        ratio = int(image[1]["height"]) / int(image[1]["width"])
        assert ratio == pytest.approx(height / width, rel=0.05)
    for drawing in page.all("svg"):
        assert drawing[1]["role"] == "img" and drawing[1]["aria-label"]


def test_figures_are_those_of_the_card(page):
    values = [each[2] for each in page.all("dd", "value")]
    assert values == ["12.2 dB", "50%, 75%", "25.0%", "50.0%"]
    assert "20.0 dB" in page.section("model")
    assert "error" in page.section("drawn")


# === Images ===


def test_images_are_above_their_regenerations_the_best_first(labelled, page):
    model, images, *_ = labelled
    shown = images / 127.5 - 1.0
    made = np.asarray(model.reconstruct(shown))
    errors = np.mean((shown - made) ** 2, axis=(1, 2, 3))
    expected = 10 * np.log10(4 / np.sort(errors))
    figures = re.findall(r"([\d.]+) dB", page.section("reconstructions"))
    # Three named as examples, eight a group, three of the bars.
    best, middle, worst = (
        np.array(figures[start : start + 8], float) for start in (3, 11, 19)
    )
    np.testing.assert_allclose(best, expected[:8], atol=0.06)
    np.testing.assert_allclose(worst, expected[::-1][:8], atol=0.06)
    assert middle.min() <= np.median(expected) <= middle.max() + 0.06
    found = page.all("img")[:2]
    number = int(re.match(r"Image (\d+)", found[0][1]["alt"])[1])
    np.testing.assert_array_equal(pixels(found[0]), images[number, ..., 0])
    np.testing.assert_allclose(
        pixels(found[1]), (made[number, ..., 0] + 1) * 127.5, atol=1
    )


# === Atoms ===


def test_every_atom_has_a_card_the_strongest_first(labelled, page):
    cards = [each[2].split() for each in page.all("li", "card")]
    found = report.survey(*labelled[:3], NAMES)
    for stage, start in zip(found.stages, (0, 3)):
        part = cards[start : start + len(stage.density)]
        numbers = [int(card[0]) for card in part]
        assert sorted(numbers) == list(range(len(part)))
        assert np.all(np.diff(stage.shares[numbers]) <= 0)
        for word, shares in (
            ("active", stage.density),
            ("explains", stage.shares),
        ):
            texts = [card[card.index(word) + 1 :] for card in part]
            for text, share in zip(texts, shares[numbers], strict=True):
                assert " ".join(text).startswith(html.percent(share))


# === Other models ===


@pytest.mark.parametrize(
    "changes, images, there, missing, text",
    [
        # Maps have no vectors for a class, and these images no labels.
        (
            *({"features": "map"}, 12, "growing drawn"),
            *("classes subspaces samples", "any size"),
        ),
        ({}, 0, "atoms", "growing", "Give --data_dir."),
        # Where no atom is active nothing grows.
        ({"sparsity": 1e6}, 4, "drawn", "growing", "never active"),
    ],
)
def test_a_page_has_what_there_is(
    tmp_path, changes, images, there, missing, text
):
    path = report.write_report(
        tmp_path / "page.html",
        make(**changes),
        "other",
        draw(images) if images else None,
        about="Give --data_dir.",
    )
    page = Page(path.read_text())
    assert set(there.split()) <= set(page.ids())
    assert not set(missing.split()) & set(page.ids())
    assert text in page.source
    assert len(page.all("li", "card")) == 7


def test_many_classes_can_be_read(tmp_path):
    model, images = make(), draw(400)
    labels = np.repeat(np.arange(200), 2)
    names = [f"kind {label:03}" for label in labels[::2]]
    path = report.write_report(
        tmp_path / "page.html", model, "many", images, labels, names
    )
    assert path.stat().st_size < 1_000_000
    page = Page(path.read_text())
    means, _ = class_similarity(np.asarray(model.encode(images)), labels)
    np.fill_diagonal(means, -1)
    text = page.section("classes")
    rows = re.findall(r"kind (\d{3})kind (\d{3})(\d\.\d\d)", text)
    assert len(rows) == 20
    largest = np.sort(means[np.triu_indices(200, 1)])[::-1]
    for (one, other, value), expected in zip(rows, largest):
        assert float(value) == pytest.approx(expected, abs=0.01)
        found = means[int(one), int(other)]
        assert found == pytest.approx(expected, abs=1e-5)


# === In a browser ===

IN_BROWSER = pytest.mark.skipif(
    not browser.available(), reason="`make test-browser` runs them"
)
FOCUSED = """() => {
    const e = document.activeElement;
    return e.tagName + (e.getAttribute("href") || "");
}"""
IMAGES = """() => [...document.images].map(
    image => [image.complete && image.naturalWidth > 0, image.alt])"""
OPEN = "() => document.querySelectorAll('details').forEach(d => d.open = true)"


@IN_BROWSER
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


@IN_BROWSER
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


SHOWN = """() => [...document.querySelectorAll("#atoms .stage")].map(stage =>
    [...stage.querySelectorAll(".card")].filter(card => !card.hidden).map(
        card => Number(card.querySelector("strong").textContent)))"""


@IN_BROWSER
def test_atoms_are_sorted_and_filtered(labelled):
    found = report.survey(*labelled[:3], NAMES)
    measures = {
        "how much they explain": lambda use: use.shares,
        "how often they are active": lambda use: use.density,
        "how selective for": lambda use: use.class_shares[2],
    }
    with browser.browser_page(1280, 800) as page:
        page.goto(labelled[-1].as_uri())
        page.locator("#tools-classes").select_option(NAMES[2])
        for words, measure in measures.items():
            page.get_by_label(words, exact=True).check()
            values = [100 * measure(use) for use in found.stages]
            least = np.sort(np.concatenate(values))[2:4].mean()
            entry = page.get_by_label(f"{words}, at least, percent")
            entry.fill(f"{least:.6f}")
            for box, sign in ((False, -1), (True, 1)):
                page.get_by_label("Smallest first").set_checked(box)
                expected = [
                    [n for n in np.argsort(sign * each) if each[n] > least]
                    for each in values
                ]
                assert page.evaluate(SHOWN) == expected
            entry.fill("")
        # A link shows an atom that the filter hides.
        page.get_by_label("how often they are active, at least").fill("100")
        page.goto(labelled[-1].as_uri() + "#stage-2-atom-1")
        expect = page.locator("#stage-2-atom-1")
        expect.wait_for(state="visible")
        assert page.errors == []


@IN_BROWSER
def test_a_telephone_shows_one_stage_without_a_script(labelled):
    with browser.browser_page(390, 800, scripts=False) as page:
        page.goto(labelled[-1].as_uri())
        for number in (1, 2):
            page.locator(f"#atoms a[href='#stage-{number}']").click()
            for other in (1, 2):
                stage = page.locator(f"#stage-{other}")
                assert stage.is_visible() == (other == number)
        assert not page.locator("#tools").is_visible()
