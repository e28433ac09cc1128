"""The page in Chromium: every tab and control, and nobody else is asked."""

import pathlib
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

import numpy as np
import pytest
from PIL import Image

from keras_csc.explorer import Example
from keras_csc.explorer import change
from keras_csc.explorer import examples_of
from keras_csc.explorer import look
from keras_csc.explorer import read_upload
from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.pixels import to_pixels
from tests.helpers import pages as browser

if not browser.available():
    pytest.skip("`make test-browser` runs them", allow_module_level=True)
pytest.importorskip("gradio")

from playwright.sync_api import expect

from keras_csc.explorer import page as pages

expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def digits():
    """The digits' model, its examples and the URL of its page."""
    model = ClosedLoopAutoencoder.from_preset("csc_ctrl_digits")
    examples = examples_of(model)
    blocks = pages.build(model, "digits <b>", examples)
    yield model, examples, pages.serve(blocks)
    blocks.close()


@pytest.fixture(scope="module")
def photographs():
    """URL of a page of a model of maps, with small photographs."""
    model = ClosedLoopAutoencoder.from_preset("csc_ctrl_photographs")
    image = examples_of(model, count=1)[0].image
    examples = [
        Example("one", image[100:140, 200:248]),
        Example("two", image[40:88, 60:108]),
    ]
    blocks = pages.build(model, "photographs", examples)
    yield pages.serve(blocks)
    blocks.close()


def opened(page, url, name="Look"):
    page.goto(url)
    page.wait_for_selector("#kx-look img")
    page.get_by_role("tab", name=name).click()


def wait_for(page, panel, text):
    page.locator(panel).get_by_text(text).first.wait_for()


def slide(page, label, value):
    """Moves a slider by its name."""
    page.get_by_label(f"range slider for {label}").fill(str(value))


# === Look ===


def test_another_image_is_looked_at(digits, quiet):
    model, examples, url = digits
    opened(quiet, url)
    assert quiet.locator("h1").inner_text() == "digits <b>"
    quiet.locator("#kx-choose button").nth(5).click()
    seen = look(model, examples[5].image)
    wait_for(quiet, "#kx-look", f"{seen.psnr:.1f} dB, from 64 numbers")
    text = quiet.locator("#kx-codes").inner_text()
    assert "no atom" in text and "the most" in text


def test_atoms_at_a_place_that_is_pressed_or_reached_by_keys(digits, quiet):
    model, examples, url = digits
    first, second = look(model, examples[0].image).explanation.stages

    def shown(row, column):
        for stage in (first, second):
            place, shares = stage.at(row, column)
            active = np.count_nonzero(shares)
            text = f"row {place[0]}, column {place[1]}: {active} are not 0"
            wait_for(quiet, "#kx-place", text)
            wait_for(quiet, "#kx-place", f"atom {np.argmax(shares)}")

    opened(quiet, url)
    shown(8, 8)  # the middle, before one is pressed
    image = quiet.locator("#kx-look .kx-press")
    side = image.bounding_box()["width"] / 16  # of a pixel
    image.click(position={"x": 6.5 * side, "y": 13.5 * side})
    shown(13, 6)
    image.press("ArrowRight")
    shown(12, 8)
    image.press("ArrowUp")
    shown(8, 8)
    quiet.locator("#kx-choose button").nth(5).click()
    first, second = look(model, examples[5].image).explanation.stages
    shown(8, 8)


def test_an_image_is_uploaded(digits, quiet, tmp_path):
    model, examples, url = digits
    path = tmp_path / "mine.png"
    Image.fromarray(to_pixels(examples[3].image)[..., 0]).resize(
        (64, 64), 0
    ).save(path)
    opened(quiet, url)
    figure = quiet.locator("#kx-look figcaption span").nth(1)
    before = figure.inner_text()
    with quiet.expect_file_chooser() as chooser:
        quiet.get_by_role("button", name="Upload an image").click()
    chooser.value.set_files(path)
    wait_for(quiet, "#kx-said", "resized and cut from 64×64 to 16×16 pixels")
    expect(figure).not_to_have_text(before)
    seen = look(model, read_upload(path, model.encoder)[0])
    assert figure.inner_text().startswith(f"{seen.psnr:.1f} dB")
    assert not quiet.locator('#kx-choose [aria-pressed="true"]').count()


# === Change ===


def test_every_control_changes_the_decoded_image(digits, quiet):
    model, examples, url = digits
    seen = look(model, examples[0].image)
    second = int(seen.explanation.stages[0].order[1])

    def shown(**changes):
        found = change(model, seen, **changes)
        wait_for(quiet, "#kx-change", f"{found.stage.zeros:.1%}")
        for psnr in (found.sum_psnr, found.decoded_psnr):
            wait_for(quiet, "#kx-change", re.compile(f"^{psnr:.1f} dB"))

    opened(quiet, url, "Change")
    shown()
    slide(quiet, "λ, the threshold of codes", 0.12)
    shown(sparsity=0.12)
    slide(quiet, "Solver steps", 20)
    shown(sparsity=0.12, steps=20)
    quiet.get_by_role("button", name="As it was").click()
    shown()
    weight = quiet.get_by_label(f"Weight of atom {second}", exact=True)
    weight.fill("-2")
    shown(factors={second: -2})
    found = change(model, seen, factors={second: -2})
    row = quiet.locator(".kx-classes tr").filter(has_text=re.compile("^0"))
    expect(row).to_contain_text(f"({found.classes[0]:.1f})".replace("-", "−"))
    weight.press("Home")
    weight.press("ArrowRight")
    shown(factors={second: -1.9})
    quiet.get_by_role("button", name="As it was").click()
    shown()
    quiet.locator("#kx-stage-change").get_by_label("2", exact=True).check()
    shown(stage=2)


def test_an_atom_has_an_address(digits, quiet):
    model, examples, url = digits
    seen = look(model, examples[0].image)
    last = int(seen.explanation.stages[1].order[-1])
    quiet.goto(f"{url}#stage-2-atom-{last}")
    weights = quiet.locator("#kx-weights [data-key]")
    expect(weights.first).to_have_attribute("data-key", str(last))
    expect(quiet.get_by_label(f"Weight of atom {last}")).to_be_visible()
    # A name leads there, too.
    quiet.get_by_role("tab", name="Look").click()
    name = quiet.locator("#kx-place a").nth(3)
    atom = int(name.inner_text().split()[1])
    name.click()
    expect(weights.first).to_have_attribute("data-key", str(atom))
    assert quiet.url.endswith(f"#stage-1-atom-{atom}")
    quiet.goto(f"{url}#stage-1-atom-16")
    wait_for(quiet, "body", re.compile("`atom` must be at most 15"))


# === Photographs ===


def test_a_photograph_is_looked_at(photographs, quiet):
    opened(quiet, photographs)
    figures = quiet.locator("#kx-look figcaption span")
    before = figures.nth(1).inner_text()
    quiet.locator("#kx-choose button").nth(1).click()
    expect(figures.nth(1)).not_to_have_text(before)
    assert figures.first.inner_text().startswith("48×48 pixels. Press")


# === All of it ===


def test_nobody_else_can_open_it_and_there_is_no_api(digits):
    url = urllib.parse.urlsplit(digits[2])
    # Linux has all of 127.0.0.0/8: who listens on every address answers here.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", url.port), 2).close()

    def read(path):
        with urllib.request.urlopen(url._replace(path=path).geturl()) as answer:
            return answer.read().decode()

    assert '"named_endpoints":{}' in read("/gradio_api/info").replace(" ", "")
    assert "googleapis" not in read("/") + read("/theme.css")
    here = pathlib.Path(__file__)
    for path in ("/docs", "/openapi.json", f"/gradio_api/file={here}"):
        with pytest.raises(urllib.error.HTTPError, match="40[34]"):
            read(path)
    for headers, status in (
        ({"Host": f"localhost:{url.port}"}, 200),
        ({"Origin": f"http://127.0.0.1:{url.port}"}, 200),
        ({"Host": f"evil.example:{url.port}"}, 400),
        ({"Host": "127.0.0.1.evil.example"}, 400),
        ({"Origin": "http://localhost:8888"}, 403),
        ({"Origin": "null"}, 403),
    ):
        request = urllib.request.Request(digits[2], headers=headers)
        try:
            found = urllib.request.urlopen(request).status
        except urllib.error.HTTPError as error:
            found = error.code
        assert found == status, headers


@pytest.mark.thorough
def test_the_command_serves_a_page_until_it_is_interrupted(unused_port):
    arguments = ["csc_ctrl_digits", f"--port={unused_port}"]
    process = subprocess.Popen(
        [sys.executable, "training/explore.py", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        said = process.stdout.readline()
        url = f"http://127.0.0.1:{unused_port}/"
        assert said.startswith(f"Explorer of csc_ctrl_digits: {url}")
        with urllib.request.urlopen(url) as answer:
            assert "csc_ctrl_digits" in answer.read().decode()
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=120)
        assert process.returncode == 130
        assert error.endswith("SIGINT: the explorer is closed.\n")
    finally:
        process.kill()
