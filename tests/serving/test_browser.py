"""The page that runs a model in Chromium, against ONNX Runtime in Python."""

import functools
import http.server
import json
import pathlib
import shutil
import subprocess
import threading

import numpy as np
import pytest
from PIL import Image

from keras_csc.data import images
from keras_csc.export import export_runtime
from keras_csc.export import load_runtime
from tests.helpers import pages as browser
from tests.helpers.exporting import tiny_model

for module in ("onnxruntime", "tf2onnx"):
    pytest.importorskip(module)
SOURCE = pathlib.Path(__file__).parents[2] / "serving" / "browser"
if not browser.available():
    pytest.skip("no Chromium or Playwright", allow_module_level=True)
if not (SOURCE / "node_modules" / "onnxruntime-web").is_dir():
    pytest.skip("no onnxruntime-web: npm ci", allow_module_level=True)

COLOUR = {"image_shape": (32, 32, 3)}
MODELS = {
    "colour": COLOUR,
    "grey": {},
    "maps": {**COLOUR, "features": "map"},
}


class Handler(http.server.SimpleHTTPRequestHandler):
    # As nginx sends it.
    extensions_map = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "application/octet-stream",
    }

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    """Builds the page, and serves copies of it with models or none."""
    subprocess.run(
        ["npm", "run", "build"], cwd=SOURCE, check=True, capture_output=True
    )
    servers = []

    def served(model):
        folder = tmp_path_factory.mktemp("page") / "site"
        ignored = shutil.ignore_patterns("*.onnx")
        shutil.copytree(SOURCE / "site", folder, ignore=ignored)
        for name in ("encode", "decode"):
            shutil.copy(model / f"{name}.onnx", folder / "model")
        handler = functools.partial(Handler, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return folder, f"http://127.0.0.1:{server.server_port}/"

    yield served
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def pages(serve, tmp_path_factory):
    """Exported models and the URLs of their pages, made when asked for."""

    @functools.cache
    def page(kind):
        folder = tmp_path_factory.mktemp("exported") / "onnx"
        export_runtime(tiny_model(**MODELS[kind]), folder, "onnx")
        return folder, serve(folder)[1]

    return page


@pytest.fixture(scope="module")
def tab():
    with browser.browser_page(1280, 900) as page:
        page.set_default_timeout(20_000)
        yield page


@pytest.fixture
def quiet(tab):
    """The window, which must say nothing wrong and ask nobody else."""
    yield from browser.quiet(tab)


def picture(path, height, width, seed=0, mode="RGB"):
    pixels = np.random.default_rng(seed).integers(
        0, 256, (height, width, 3), "uint8"
    )
    Image.fromarray(pixels).convert(mode).save(path)
    return np.asarray(Image.open(path))


def choose(page, path):
    page.locator("#file:enabled").wait_for()
    page.get_by_label("Picture", exact=True).set_input_files(path)


def numbers(page, name):
    """What the page saves, once it is done with a file."""
    page.get_by_text(f"{name} is done.").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="Save the numbers").click()
    found = json.loads(download.value.path().read_text())
    return {
        key: np.reshape(value["data"], value["shape"])
        for key, value in found.items()
    }


@pytest.mark.parametrize(
    ("kind", "size"),
    [("colour", (32, 32)), ("grey", (16, 16)), ("maps", (21, 35))],
)
def test_it_computes_what_onnx_runtime_does(kind, size, pages, quiet, tmp_path):
    folder, url = pages(kind)
    mode = "L" if kind == "grey" else "RGB"
    pixels = picture(tmp_path / "mine.png", *size, mode=mode)
    quiet.goto(url)
    choose(quiet, tmp_path / "mine.png")
    found = numbers(quiet, "mine.png")
    image = (pixels / 127.5 - 1).reshape(1, *size, -1).astype("float32")
    np.testing.assert_allclose(found["image"], image[0], atol=1e-6)
    call = load_runtime(folder, "onnx")
    expected = call("encode", {"image": image})["features"][0]
    np.testing.assert_allclose(found["features"], expected, atol=1e-4)
    (made,) = call("serving_default", {"image": image})["reconstruction"]
    assert np.std(made) > 0.01
    np.testing.assert_allclose(found["reconstruction"], made, atol=1e-4)
    psnr = 10 * np.log10(4 / np.mean((image[0] - made) ** 2))
    shown = quiet.locator("#made-said").inner_text()
    assert abs(float(shown.split()[0]) - psnr) < 0.06


@pytest.mark.parametrize(
    "size, said",
    [((50, 90), "resized and cut from 90×50"), ((29, 32), "padded from 32×29")],
)
def test_another_size_is_said(size, said, pages, quiet, tmp_path):
    """And fitted as pictures are for training and in `encode_bytes`."""
    pixels = picture(tmp_path / "mine.png", *size)
    if "cut" in said:  # How it is resized is the browser's.
        pixels = np.zeros_like(pixels) + np.uint8([255, 0, 0])
        Image.fromarray(pixels).save(tmp_path / "mine.png")
    quiet.goto(pages("colour")[1])
    choose(quiet, tmp_path / "mine.png")
    found = numbers(quiet, "mine.png")
    expected = images.fit(pixels, (32, 32, 3)).numpy() / 127.5 - 1
    np.testing.assert_allclose(found["image"], expected, atol=1e-6)
    quiet.get_by_text(f"{said} to 32×32").wait_for()


def test_files_that_are_none_are_told_of(pages, quiet, tmp_path):
    files = {
        "empty.png": (b"", "empty.png is empty."),
        "text.png": (b"no picture", "text.png is not a picture"),
        "large.png": (bytes(20 * 2**20 + 1), "20,971,521 bytes, more than"),
    }
    picture(tmp_path / "tiny.png", 5, 40)
    quiet.goto(pages("maps")[1])
    choose(quiet, tmp_path / "tiny.png")
    quiet.get_by_role("alert").get_by_text("has 40×5 pixels").wait_for()
    quiet.goto(pages("colour")[1])
    for name, (content, words) in files.items():
        (tmp_path / name).write_bytes(content)
        choose(quiet, tmp_path / name)
        quiet.get_by_role("alert").get_by_text(words).wait_for()
        assert not quiet.locator("#result").is_visible()
    picture(tmp_path / "good.png", 32, 32)
    choose(quiet, tmp_path / "good.png")
    quiet.get_by_text("good.png is done.").wait_for()
    assert not quiet.get_by_role("alert").is_visible()


@pytest.mark.parametrize(
    "damage, words",
    [
        ("damaged", "model/encode.onnx is no ONNX model"),
        ("other", "one makes 8 features, the other takes 5"),
    ],
)
def test_a_model_that_is_none_is_told_of(damage, words, serve, pages, tab):
    folder, url = serve(pages("colour")[0])
    if damage == "damaged":
        (folder / "model" / "encode.onnx").write_bytes(b"no model")
    else:
        other = folder.parent / "other"
        export_runtime(tiny_model(**COLOUR, feature_dim=5), other, "onnx")
        shutil.copy(other / "decode.onnx", folder / "model")
    tab.goto(url)
    tab.get_by_role("alert").get_by_text(words).wait_for()
    assert tab.get_by_label("Picture", exact=True).is_disabled()


def test_a_telephone_and_the_keyboard(pages, quiet, tmp_path):
    """A page need not be scrolled sideways, and the keyboard reaches it all."""
    quiet.set_viewport_size({"width": 390, "height": 800})
    quiet.emulate_media(color_scheme="dark")
    quiet.goto(pages("colour")[1])
    picture(tmp_path / "a.png", 32, 32)
    choose(quiet, tmp_path / "a.png")
    quiet.get_by_text("a.png is done.").wait_for()
    assert quiet.evaluate("document.documentElement.scrollWidth") <= 390
    reached = []
    for _ in range(3):
        quiet.keyboard.press("Tab")
        reached.append(quiet.evaluate("document.activeElement.id"))
    assert reached == ["file", "features", "save"]
    quiet.set_viewport_size({"width": 1280, "height": 900})
