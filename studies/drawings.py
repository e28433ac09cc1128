"""Draws pictures of docs/pictures.

    python -m studies.drawings --data_dir=DATA --pictures=overview

- `overview`: a photograph that scikit-image ships, as a sum of atoms of
  `csc_ctrl_photographs`, and restored by the denoiser; test images of CIFAR-10,
  and their regenerations by `csc_ctrl_cifar10`;
- `regenerations`: of test images, by the weight of the multi-stage term. It
  takes the models that `studies/run.py --studies=front` trained below --runs;
- `pages`: the explorer, a report and sorted pictures, as Chromium shows them.

DATA holds fashion_mnist and cifar10 as TFDS prepares them. The overview needs
matplotlib; pages need the explorer's packages, Playwright and Chromium.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

from keras_csc_cli import command_line
from keras_csc_cli.building import Splits

import numpy as np
import skimage.data
from absl import flags
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from keras_csc import data
from keras_csc import restoration
from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.pixels import from_pixels
from keras_csc.visualization import comparison_grid
from keras_csc.visualization import save_png
from studies import measure
from studies import plan
from studies.runs import SETS

PICTURES = pathlib.Path(__file__).parents[1] / "docs" / "pictures"

# === Overview ===

COUNTS = (1, 2, 5, 10, 20)
NOISE = 25
IMAGES = 12


def shown(axes, image, title=""):
    """An image in [0, 1], with its title and nothing else."""
    axes.imshow(np.clip(image, 0, 1))
    axes.set_title(title, fontsize=9)
    axes.axis("off")


def sums(subfigure, photograph):
    """The photograph as a sum of its strongest atoms."""
    model = ClosedLoopAutoencoder.from_preset("csc_ctrl_photographs")
    stage = model.explain(photograph).stages[0]
    partial = dict(stage.partial_sums([*COUNTS, len(stage.order)]))
    titles = ["1 atom", *(f"{count} atoms" for count in COUNTS[1:])]
    titles.append(f"all {len(stage.order)}")
    subfigure.suptitle("An image is a sum of atoms", x=0.01, ha="left")
    panels = subfigure.subplots(1, len(titles))
    for axes, title, total in zip(panels, titles, partial.values()):
        shown(axes, (np.asarray(stage.to_pixels(total)) + 1) / 2, title)


def restored(subfigure, photograph):
    """The photograph with noise, and without."""
    clean = photograph / 255
    noise = np.random.default_rng(0).standard_normal(clean.shape)
    noisy = clean + NOISE / 255 * noise
    images = noisy, restoration.denoise(noisy, NOISE / 255)
    titles = f"with noise of {NOISE} of 255", "restored"
    subfigure.suptitle("Photographs of any size", x=0.01, ha="left")
    for axes, image, title in zip(subfigure.subplots(1, 2), images, titles):
        near = peak_signal_noise_ratio(
            clean, np.clip(image, 0, 1), data_range=1
        )
        shown(axes, image, f"{title}: {near:.1f} dB")


def regenerated(subfigure, data_dir):
    """Test images, and below each its regeneration."""
    model = ClosedLoopAutoencoder.from_preset("csc_ctrl_cifar10")
    source = data.open_dataset("cifar10", "test", (32, 32, 3), data_dir)
    images = from_pixels(data.load_arrays(source, IMAGES)[0])
    numbers = model.encoder.feature_dim
    title = f"Images, and what is drawn from {numbers} numbers of each"
    subfigure.suptitle(title, x=0.01, ha="left")
    rows = subfigure.subplots(2, IMAGES)
    for panels, row in zip(rows, (images, model.reconstruct(images))):
        for axes, image in zip(panels, np.asarray(row)):
            shown(axes, (image + 1) / 2)


def overview(data_dir):
    """Draws overview.jpg."""
    from matplotlib import pyplot

    photograph = skimage.data.chelsea()
    figure = pyplot.figure(figsize=(9.6, 6.6), layout="constrained")
    rows = figure.subfigures(3, 1, height_ratios=(1, 1.9, 1.25))
    sums(rows[0], photograph)
    restored(rows[1], photograph)
    regenerated(rows[2], data_dir)
    figure.savefig(PICTURES / "overview.jpg", dpi=150)


# === Regenerations ===


def draw(runs, folder, data_dir=None):
    """The picture of runs on a set, an array of pixels."""
    rows = {}
    for run in runs:
        options = measure.options_of(run, folder / run.key, data_dir)
        splits = Splits(options)
        if not rows:
            images, labels = data.load_arrays(splits["test"], 200)
            _, first = np.unique(labels, return_index=True)
            images = from_pixels(images[first])
            rows["images"] = images
        make = measure.maker(run)
        model, _ = measure.trained(options, make, splits.num_classes)
        rows[run.name] = model.reconstruct(images)
    return comparison_grid(rows.values(), list(rows), len(images), scale=2)


def regenerations(data_dir):
    """Draws regenerations_front_DATA.png: a row a run, a column a class."""
    for name in SETS:
        runs = [run for run in plan.front() if run.data == name]
        picture = draw(runs, pathlib.Path(flags.FLAGS.runs), data_dir)
        save_png(PICTURES / f"regenerations_front_{name}.png", picture)


# === Pages ===

NAMES = "airplane automobile bird cat deer dog frog horse ship truck".split()
EACH = 30  # pictures of a class
SETTLED, SCROLLED = 20_000, 2_000  # milliseconds


def of_explorer(tab):
    """Both tabs of the explorer."""
    from keras_csc import explorer
    from keras_csc.explorer import page

    for preset, name, height, picture in (
        ("csc_ctrl_digits", "Change", 860, "explorer.png"),
        ("csc_ctrl_photographs", "Look", 1150, "explorer_photographs.jpg"),
    ):
        model = ClosedLoopAutoencoder.from_preset(preset)
        blocks = page.build(model, preset, explorer.examples_of(model))
        tab.set_viewport_size({"width": 1280, "height": height})
        tab.goto(page.serve(blocks))
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


def pages(data_dir):
    """Draws the explorer, a report and sorted pictures."""
    from playwright.sync_api import sync_playwright

    with (
        tempfile.TemporaryDirectory() as folder,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium")
        )
        tab, folder = browser.new_page(), pathlib.Path(folder)
        for shots in (of_explorer(tab), of_files(tab, data_dir, folder)):
            for name in shots:
                tab.screenshot(path=folder / "shot.png")
                image = Image.open(folder / "shot.png").convert("RGB")
                if name.endswith(".jpg"):
                    height = round(960 * image.height / image.width)
                    image = image.resize((960, height))
                    image.save(PICTURES / name, quality=80)
                else:
                    image.quantize(64).save(PICTURES / name, optimize=True)


DRAWINGS = {draw.__name__: draw for draw in (overview, regenerations, pages)}


def main():
    for name in flags.FLAGS.pictures:
        DRAWINGS[name](flags.FLAGS.data_dir)


if __name__ == "__main__":
    flags.DEFINE_multi_enum("pictures", None, list(DRAWINGS), "What to draw.")
    flags.DEFINE_string("runs", "runs/studies", "Folder of the runs.")
    flags.DEFINE_string("data_dir", None, "Folder of TFDS's data sets.")
    flags.mark_flags_as_required(["pictures", "data_dir"])
    command_line.run(main, user_errors=(data.DataError, OSError))
