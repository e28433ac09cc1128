"""Draws the pages in docs/pictures, as Chromium shows them.

    python -m studies.screens --data_dir=DATA

DATA holds fashion_mnist and cifar10 as TFDS prepares them. It needs the
explorer's packages, Playwright and Debian's Chromium.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from keras_csc import data
from keras_csc import explorer
from keras_csc.explorer import page as pages
from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.visualization import save_png

PICTURES = pathlib.Path(__file__).parents[1] / "docs" / "pictures"
NAMES = "airplane automobile bird cat deer dog frog horse ship truck".split()
EACH = 30  # pictures of a class
SETTLED, SCROLLED = 20_000, 2_000  # milliseconds


def of_explorer(tab):
    """Both tabs of the explorer."""
    for preset, name, height, picture in (
        ("csc_ctrl_digits", "Change", 860, "explorer.png"),
        ("csc_ctrl_photographs", "Look", 1150, "explorer_photographs.jpg"),
    ):
        model = ClosedLoopAutoencoder.from_preset(preset)
        blocks = pages.build(model, preset, explorer.examples_of(model))
        tab.set_viewport_size({"width": 1280, "height": height})
        tab.goto(pages.serve(blocks))
        tab.wait_for_selector("#kx-look img")
        tab.get_by_role("tab", name=name).click()
        if name == "Change":
            tab.locator("#kx-weights [data-key]").first.fill("-2")
        if name == "Look":
            tab.locator(".kx-press img").click(position={"x": 120, "y": 60})
        tab.wait_for_timeout(SETTLED)
        yield picture
        blocks.close()


def command(*words):
    """Runs `keras-csc` with these words."""
    code = "from keras_csc_cli import console; console.main()"
    subprocess.run([sys.executable, "-c", code, *words], check=True)


def of_files(tab, data_dir, folder):
    """A report, and sorted pictures of CIFAR-10."""
    report = folder / "report.html"
    command(
        *("report", "--preset=csc_ctrl_fashion_mnist", f"--output={report}"),
        *("--dataset=fashion_mnist", f"--data_dir={data_dir}"),
    )
    source = data.open_dataset("cifar10", "train", (32, 32, 3), data_dir)
    images, labels = data.load_arrays(source, 5000)
    for label, name in enumerate(NAMES):
        (folder / "pictures" / name).mkdir(parents=True)
        for number in np.flatnonzero(labels == label)[:EACH]:
            path = folder / "pictures" / name / f"{number}.png"
            save_png(path, images[number])
    command(
        *("sort", f"--data_dir={folder / 'pictures'}"),
        f"--output={folder / 'sorted'}",
    )
    for path, part, height, name in (
        (report, "", 1900, "report.png"),
        (report, "#stage-1-atom-3", 900, "atom.png"),
        (folder / "sorted" / "index.html", "", 1900, "sorted.jpg"),
    ):
        tab.set_viewport_size({"width": 1000, "height": height})
        tab.goto(path.as_uri() + part)
        tab.wait_for_timeout(SCROLLED)
        yield name


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", required=True)
    given = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium")
        )
        tab = browser.new_page()
        for shots in (
            of_explorer(tab),
            of_files(tab, given.data_dir, folder),
        ):
            for name in shots:
                tab.screenshot(path=folder / "shot.png")
                image = Image.open(folder / "shot.png").convert("RGB")
                path = PICTURES / name
                if path.suffix == ".jpg":
                    image.resize(
                        (960, round(960 * image.height / image.width))
                    ).save(path, quality=80)
                else:
                    image.quantize(64).save(path, optimize=True)
                print(path, path.stat().st_size)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
