"""The pages that run models in Chromium, against the same in Python."""

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
from keras_csc.restoration import SparseDenoiser
from keras_csc.restoration import estimate_noise
from tests.helpers import pages as browser
from tests.helpers.exporting import of_onnx
from tests.helpers.exporting import tiny_model
from tests.helpers.exporting import to_onnx

if not browser.available():
    pytest.skip("`make test-browser` runs them", allow_module_level=True)
for module in ("onnxruntime", "tf2onnx"):
    pytest.importorskip(module)
SOURCE = pathlib.Path(__file__).parents[2] / "serving" / "browser"
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
        for path in model.glob("*.onnx"):
            shutil.copy(path, folder / "model")
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
        folder = tmp_path_factory.mktemp("exported")
        to_onnx(tiny_model(**MODELS[kind]), folder, "encode", "decode")
        return folder, serve(folder)[1]

    return page


@pytest.fixture(scope="module")
def denoising(serve, tmp_path_factory):
    """A denoiser and the folder and address of its page."""
    denoiser = SparseDenoiser(16, iterations=2, channels=3)
    folder = tmp_path_factory.mktemp("denoiser")
    to_onnx(denoiser, folder, "denoise_tile")
    folder, url = serve(folder)
    return denoiser, folder, f"{url}denoise.html"


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
    features = of_onnx(folder / "encode.onnx", image=image)["features"]
    np.testing.assert_allclose(found["features"], features[0], atol=1e-4)
    of_features = of_onnx(folder / "decode.onnx", features=features)
    made = of_features["reconstruction"][0, : size[0], : size[1]]
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
        other.mkdir()
        to_onnx(tiny_model(**COLOUR, feature_dim=5), other, "decode")
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
    for _ in range(5):
        quiet.keyboard.press("Tab")
        reached.append(quiet.evaluate("document.activeElement.id"))
    assert reached == ["", "", "file", "features", "save"]
    quiet.set_viewport_size({"width": 1280, "height": 900})


# === The denoiser ===


def photograph(path, height, width, noise=0.0):
    """A picture of edges, dark at the left and bright at the right."""
    rows, columns = np.mgrid[:height, :width]
    levels = 30 + 150 * columns / width + 40 * ((rows // 9 + columns // 7) % 2)
    pixels = levels[..., None] * [1, 0.8, 0.6]
    pixels += noise * np.random.default_rng(0).standard_normal(pixels.shape)
    pixels = np.uint8(np.clip(np.round(pixels), 0, 255))
    Image.fromarray(pixels).save(path)
    return pixels


def saved(page, name):
    """The noise that the page removed, and the picture that it saves."""
    page.get_by_text(f"{name}.png is done.").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="Save the result").click()
    assert download.value.suggested_filename == f"{name}-denoised.png"
    noise = float(page.locator("#noise-said").inner_text())
    return noise, np.asarray(Image.open(download.value.path()))[..., :3]


def assert_denoised(found, denoiser, pixels, noise):
    """Up to rounding, of the noise as well, and the picture has changed."""
    made = denoiser.denoise(np.float32(pixels) / 255, noise / 255)
    np.testing.assert_allclose(found, 255 * np.clip(made, 0, 1), atol=0.56)
    assert np.std(np.float32(found) - pixels) > noise / 4


@pytest.mark.parametrize("size", [(50, 67), (530, 1021)])
def test_it_denoises_as_python_does(size, denoising, quiet, tmp_path):
    """As one tile and as six, with the noise estimated and chosen."""
    denoiser, _, url = denoising
    pixels = photograph(tmp_path / "mine.png", *size, noise=12)
    quiet.goto(url)
    choose(quiet, tmp_path / "mine.png")
    noise, found = saved(quiet, "mine")
    assert abs(noise - 255 * estimate_noise(pixels / 255)) < 0.06
    assert_denoised(found, denoiser, pixels, noise)
    slider = quiet.get_by_label("Noise to remove")
    slider.fill("50")
    slider.fill("30.5")  # What ran with 50 ends.
    noise, found = saved(quiet, "mine")
    assert noise == 30.5 and not quiet.locator("#estimate").is_checked()
    assert_denoised(found, denoiser, pixels, noise)


def test_noise_is_added_to_a_picture_that_is_dropped(
    denoising, quiet, tmp_path
):
    pixels = photograph(tmp_path / "clean.png", 90, 110)
    quiet.goto(denoising[2])
    quiet.locator("#settings:enabled").wait_for()
    quiet.evaluate(
        """bytes => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "clean.png"));
            dispatchEvent(new DragEvent("drop", { dataTransfer: data }));
        }""",
        [*(tmp_path / "clean.png").read_bytes()],
    )
    saved(quiet, "clean")
    assert quiet.locator("#before-said").inner_text() == ""
    quiet.get_by_label("Noise to add first").fill("20")
    noise, found = saved(quiet, "clean")
    url = quiet.locator("#given").evaluate("e => e.toDataURL()")
    noisy = browser.pixels((None, {"src": url}))[..., :3]
    assert 19 < np.std(np.float32(noisy) - pixels) < 21
    assert_denoised(found, denoising[0], noisy, noise)
    for name, image in (("before", noisy), ("after", found)):
        psnr = 10 * np.log10(
            255**2 / np.mean((np.float32(image) - pixels) ** 2)
        )
        said = quiet.locator(f"#{name}-said").inner_text()
        assert abs(float(said.split()[0]) - psnr) < 0.06


def test_pictures_that_are_not_denoised_are_told_of(denoising, quiet, tmp_path):
    picture(tmp_path / "tiny.png", 15, 40)
    (tmp_path / "text.png").write_bytes(b"no picture")
    photograph(tmp_path / "good.png", 40, 40)
    quiet.goto(denoising[2])
    for name, words in (
        ("tiny", "has 40×15 pixels"),
        ("text", "not a picture"),
    ):
        choose(quiet, tmp_path / "good.png")
        saved(quiet, "good")
        choose(quiet, tmp_path / f"{name}.png")
        quiet.get_by_role("alert").get_by_text(words).wait_for()
        assert not quiet.locator("#result").is_visible()


def test_a_denoiser_that_is_missing_is_told_of(serve, tab, tmp_path):
    tab.goto(f"{serve(tmp_path)[1]}denoise.html")
    words = "There is no model/denoise_tile.onnx"
    tab.get_by_role("alert").get_by_text(words).wait_for()
    assert tab.get_by_label("Picture", exact=True).is_disabled()


def test_the_denoiser_by_keyboard_on_a_telephone(denoising, quiet):
    quiet.set_viewport_size({"width": 390, "height": 800})
    quiet.goto(denoising[2])
    quiet.locator("#settings:enabled").wait_for()
    reached = []

    def press_tab(times):
        for _ in range(times):
            quiet.keyboard.press("Tab")
            reached.append(quiet.evaluate("document.activeElement.id"))

    press_tab(4)
    quiet.keyboard.press("Enter")
    quiet.get_by_text("example.jpg is done.").wait_for()
    assert quiet.evaluate("document.documentElement.scrollWidth") <= 390
    press_tab(5)
    seen = """place => {
        const { left, top, width } = stage.getBoundingClientRect();
        return document.elementFromPoint(left + place * width, top + 9).id;
    }"""
    for key, parts in (("Home", "made made"), ("End", "given given")):
        quiet.keyboard.press(key)
        assert [quiet.evaluate(seen, x) for x in (0.2, 0.8)] == parts.split()
    quiet.locator("#split").fill("50")
    assert [quiet.evaluate(seen, x) for x in (0.4, 0.6)] == ["given", "made"]
    press_tab(2)
    settings = ["", "", "file", "example", "noise", "estimate", "added"]
    assert reached == [*settings, "stage", "split", "actual", "save"]
    quiet.get_by_label("Full size").check()
    quiet.locator("#stage").evaluate("e => e.scrollTo(90, 0)")
    quiet.wait_for_timeout(200)
    assert [quiet.evaluate(seen, x) for x in (0.4, 0.6)] == ["given", "made"]
    quiet.set_viewport_size({"width": 1280, "height": 900})
