"""The page to send and the page to play with, of runs and presets."""

import json
import os
import pathlib
import shutil
import sys
import types

from keras_csc_cli import pages
from keras_csc_cli import train_options

import numpy as np
import pytest
from PIL import Image

from keras_csc import data
from keras_csc import explorer
from keras_csc.data import DataError
from keras_csc.export import export_preset
from keras_csc.export.card import card_of
from keras_csc.models import ClosedLoopAutoencoder
from tests.helpers import runs

pytestmark = pytest.mark.usefixtures("eager")

# === The report ===


def write(**given):
    return pages.report(runs.given("report", **given))


@pytest.fixture(scope="module")
def run(eager, tmp_path_factory):
    """The folder of a run whose model has its first weights."""
    path = tmp_path_factory.mktemp("runs") / "digits"
    runs.untrained(path, "--data_dir=/secret/folder")
    return path


def test_the_page_of_a_run_lies_in_its_folder(run):
    path = write(workdir=run, images=40)
    assert path == run / "report.html"
    text = path.read_text()
    assert "40 of the 397 images of the split test of digits" in text
    assert "/secret" not in text


def test_the_page_of_a_run_whose_data_are_gone(run, tmp_path, capsys):
    """It has no images, but the names of the classes, and its own weights."""
    run = shutil.copytree(run, tmp_path / "run")
    model = ClosedLoopAutoencoder.from_preset(run / "model")
    shutil.rmtree(run / "model")
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 1), "uint8")
    model.fit_density(images, np.arange(40) % 2)
    model.save_to_preset(run / "model")
    recorded = json.loads((run / "flags.json").read_text())
    gone = {
        "dataset": "image_folder",
        "data_dir": str(tmp_path / "gone"),
        "preset": str(tmp_path / "moved"),
    }
    (run / "flags.json").write_text(json.dumps({**recorded, **gone}))
    names = ["a cat", "a <dog>"]
    (run / "run.json").write_text(
        json.dumps({"sessions": [], "seconds": 0.0, "class_names": names})
    )
    page = tmp_path / "page.html"
    text = write(workdir=run, output=page).read_text()
    assert "<h3>a cat" in text and "<h3>a &lt;dog&gt;" in text
    assert "data set image_folder was not at hand" in text
    assert "No such folder" in capsys.readouterr().err
    with pytest.raises(DataError, match="No such folder"):
        write(workdir=run, output=page, data_dir=tmp_path / "gone")


def test_a_trained_preset_knows_its_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(preset="csc_ctrl_digits", images=20)
    assert str(path) == "csc_ctrl_digits-report.html"
    text = path.read_text()
    assert "20 of the 397 images of the split test of digits" in text
    psnr = card_of("csc_ctrl_digits")["evaluation"]["psnr"]
    assert f"{psnr:.1f} dB" in text


def test_images_for_validation_are_as_in_the_training_of_a_preset(
    run, tmp_path
):
    model = ClosedLoopAutoencoder.from_preset(run / "model")
    card = {"recipe": {"dataset": "digits", "validation_fraction": 0.5}}
    preset = export_preset(model, tmp_path / "preset", card)
    page = tmp_path / "page.html"
    write(preset=preset, split="validation", images=5, output=page)
    said = "5 of the 700 images of the split validation of digits"
    assert said in page.read_text()


def test_mistakes_are_told_before_any_work(run, tmp_path):
    mine = tmp_path / "mine.html"
    mine.write_text("my own")
    with pytest.raises(ValueError, match="is not a report"):
        write(workdir=run, output=mine)
    assert mine.read_text() == "my own"
    with pytest.raises(OSError, match="/proc"):  # where nobody can write
        write(workdir=run, output="/proc/nowhere/page.html")
    with pytest.raises(ValueError, match="Unknown preset"):
        write(preset="nope")
    with pytest.raises(DataError):
        write(
            preset=run / "model",
            output=tmp_path / "page.html",
            dataset="image_folder",
            data_dir=tmp_path / "none",
        )


# === The explorer ===


def test_the_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "keras_csc.explorer.page", raising=False)
    monkeypatch.delattr(explorer, "page", raising=False)
    with pytest.raises(ValueError, match=r"gradio: pip install '.\[explore\]'"):
        pages.explore(runs.given("explore", preset="csc_ctrl_digits"))


@pytest.mark.parametrize("given", [False, True])
def test_gradio_writes_to_a_folder_of_its_own(monkeypatch, tmp_path, given):
    """Of the process's, that goes with it, or the one that the user gave."""
    folders = []

    def serve(*args):
        folders.append(pathlib.Path(os.environ["GRADIO_TEMP_DIR"]))
        (folders[0] / "upload").touch()
        assert folders[0] == tmp_path or folders[0].stat().st_mode & 0o77 == 0
        raise KeyboardInterrupt

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    if not given:
        monkeypatch.delenv("GRADIO_TEMP_DIR")
    page = types.SimpleNamespace(build=lambda *args: None, serve=serve)
    monkeypatch.setattr(explorer, "page", page, raising=False)
    opened = None, "digits", train_options.parse([]), {}
    monkeypatch.setattr(pages, "opened", lambda preset: opened)
    monkeypatch.setattr(pages, "examples_of", lambda *args, **given: None)
    with pytest.raises(KeyboardInterrupt):
        pages.explore(runs.given("explore", preset="digits"))
    assert (folders[0] == tmp_path) == folders[0].exists() == given


def test_the_images_of_a_run_are_cut_as_in_its_training(tmp_path, capsys):
    names = ["train/any/image.png", "test/any/image.png"]
    folder = runs.write_pictures(tmp_path / "images", names, (40, 40))
    pixels = np.asarray(Image.open(folder / names[1]))
    path = runs.untrained(
        tmp_path / "run",
        *("--dataset=image_folder", f"--data_dir={folder}", "--noresize"),
    )
    model, _, recorded, _ = pages.opened(path)

    def images(**given):
        return pages.source_of(model, recorded, "test", **given)

    found = images()
    middle = pixels[4:36, 4:36]  # 2×2 crops of 16×16
    cut = middle.reshape(2, 16, 2, 16).swapaxes(1, 2).reshape(4, 16, 16, 1)
    np.testing.assert_array_equal(data.load_arrays(found)[0], cut)
    folder.rename(tmp_path / "moved")
    assert images(dataset=None, data_dir=None) is None
    assert "No such folder" in capsys.readouterr().err
    with pytest.raises(data.DataError, match="No such folder"):
        images(data_dir=str(folder))
    moved = str(tmp_path / "moved")
    assert images(data_dir=moved).size == found.size
