"""`training/report.py` on a run and on presets, and what it refuses."""

import json
import shutil

from keras_csc_cli import report
from keras_csc_cli.command_line import UsageError

import numpy as np
import pytest

from keras_csc.data import DataError
from keras_csc.models import ClosedLoopAutoencoder
from tests.helpers import runs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run whose model has its first weights."""
    path = tmp_path_factory.mktemp("runs") / "digits"
    runs.untrained(path, "--data_dir=/secret/folder")
    records = [{"step": 5, "shown_psnr": 12.0}, {"step": 9, "shown_psnr": 13.0}]
    lines = [*map(json.dumps, records), "no JSON", "[1]"]
    (path / "log.jsonl").write_text("\n".join(lines))
    return path


def test_the_page_of_a_run_lies_in_its_folder(run):
    path = report.run(run, images=40)
    assert path == run / "report.html"
    text = path.read_text()
    assert "40 of the 397 images of the split test of digits" in text
    assert "from 12 to 13" in text
    assert "/secret" not in text
    assert report.run(run, images=1, split="train") == path
    assert "1 of the 1,330 images" in path.read_text()


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
    text = report.run(run, output=tmp_path / "page.html").read_text()
    assert "<h3>a cat" in text and "<h3>a &lt;dog&gt;" in text
    assert "data set image_folder was not at hand" in text
    assert "No such folder" in capsys.readouterr().err
    with pytest.raises(DataError, match="No such folder"):
        report.run(
            run, output=tmp_path / "page.html", data_dir=str(tmp_path / "gone")
        )


def test_the_page_of_a_preset_without_data_says_how_to_get_some(
    run, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    path = report.run(preset=str(run / "model"))
    assert str(path) == "model-report.html"
    assert "--data_dir" in path.read_text()
    report.run(preset=str(run / "model"), dataset="digits", images=5)
    assert "5 of the 397 images" in path.read_text()


def test_a_trained_preset_knows_its_data(tmp_path):
    path = report.run(
        preset="csc_ctrl_digits", output=tmp_path / "page.html", images=20
    )
    text = path.read_text()
    assert "20 of the 397 images of the split test of digits" in text
    assert "37.8 dB" in text  # of its card


def test_mistakes_are_told_before_any_work(run, tmp_path):
    with pytest.raises(UsageError, match="must end in .html"):
        report.run(run, output=tmp_path / "page.txt")
    mine = tmp_path / "mine.html"
    mine.write_text("my own")
    with pytest.raises(UsageError, match="is not a report"):
        report.run(run, output=mine)
    assert mine.read_text() == "my own"
    for folder in (mine, "/proc/nowhere"):  # where nobody can make a file
        with pytest.raises(UsageError, match="--output can't be written to"):
            report.run(run, output=f"{folder}/page.html")
    with pytest.raises(UsageError, match="Unknown preset"):
        report.run(preset="nope")
    with pytest.raises(DataError):
        report.run(
            preset=str(run / "model"),
            output=tmp_path / "page.html",
            dataset="image_folder",
            data_dir=str(tmp_path / "none"),
        )
