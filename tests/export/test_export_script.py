import json
import shutil

from keras_csc_cli import export
from keras_csc_cli.command_line import check_needed
from keras_csc_cli.options import EXPORT
from keras_csc_cli.options import name_of

import numpy as np
import pytest
import tensorflow as tf

from keras_csc.models import ClosedLoopAutoencoder
from tests.helpers import runs
from tests.helpers.exporting import ROOT
from tests.helpers.exporting import run_python
from tests.helpers.exporting import tiny_model


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    """The folder of a finished run."""
    workdir = tmp_path_factory.mktemp("runs") / "digits-1"
    workdir.mkdir()
    tiny_model().save_to_preset(workdir / "model")
    files = {
        "flags.json": {"batch_size": 256, "filters": None},
        "run.json": {
            "sessions": [{"seconds": 1.5, "commit": "abc123", "gpus": []}]
        },
        "evaluation.json": {"psnr": 21.5, "run": {"x": 1}},
    }
    for name, value in files.items():
        (workdir / name).write_text(json.dumps(value))
    return workdir


@pytest.fixture
def workdir(finished_run, tmp_path):
    return shutil.copytree(finished_run, tmp_path / "digits-1")


@pytest.fixture(scope="module")
def small_run(finished_run, tmp_path_factory):
    """The same with a model whose signatures are soon traced."""
    folder = tmp_path_factory.mktemp("small") / "digits-1"
    workdir = shutil.copytree(finished_run, folder)
    shutil.rmtree(workdir / "model")
    model = tiny_model(filters=(4,))
    images = np.random.default_rng(0).uniform(-1, 1, (40, 16, 16, 1))
    model.fit_density(images.astype("float32"), np.arange(40) % 2)
    model.save_to_preset(workdir / "model")
    return workdir


def test_a_run_is_exported_with_a_card(small_run, tmp_path):
    (path,) = export.run(small_run, output=tmp_path)
    assert path == tmp_path / "saved_models" / "digits-1" / "1"
    assert "sample" in tf.saved_model.load(path).signatures
    card = (path / "card.md").read_text(encoding="utf-8")
    assert card.startswith("# digits-1, version 1\n")
    assert "## Training\n\n| | |\n|-|-|\n| sessions: 1: seconds | 1.5 |" in card
    assert "| sessions: 1: commit | abc123 |" in card
    assert "## Recipe\n\n| | |\n|-|-|\n| batch_size | 256 |\n\n" in card
    assert "## Evaluation\n\n| | |\n|-|-|\n| psnr | 21.5 |\n\n" in card
    assert "| sessions: 1: gpus | none |" in card


@pytest.mark.thorough
def test_two_processes_write_the_same_bytes(small_run, tmp_path):
    """Where objects lie in a process orders its sets."""
    script, found = ROOT / "training" / "export.py", []
    for seed in "01":
        where = tmp_path / seed
        where.mkdir()
        finished = run_python(
            [script, f"--workdir={small_run}"],
            {"PYTHONHASHSEED": seed},
            cwd=where,
        )
        assert finished.returncode == 0, finished.stderr[-3000:]
        path = where / "saved_models" / "digits-1" / "1"
        assert f"Exported model: {path}" in finished.stdout
        found.append(runs.contents(path))
    one, other = found
    assert len(one) >= 5 and set(one) == set(other)
    assert [name for name in one if one[name] != other[name]] == []


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda w: shutil.rmtree(w / "model"), "no trained model"),
        (
            lambda w: (w / "evaluation.json").write_text('{"steps": 3}'),
            "evaluation.json is damaged: it has no float 'psnr'",
        ),
        (lambda w: (w / "saved_models").write_text(""), "saved_models"),
    ],
)
def test_mistakes_in_a_workdir(workdir, change, message):
    change(workdir)
    with pytest.raises((ValueError, OSError), match=message):
        export.run(workdir, output=workdir)
    assert not (workdir / "saved_models").is_dir()


def check(**given):
    """Checks flags as the script does."""
    options = runs.given("export", **given)
    check_needed(options, EXPORT.needed)
    name = options.name or name_of(options.workdir, options.preset)
    export.check(name, options.formats)


def test_names_that_no_folder_has_or_no_server_takes(workdir):
    for name in ("../up", "12", "\x1b"):
        with pytest.raises(ValueError, match="--name must be") as caught:
            check(workdir=workdir, formats="preset", name=name)
        assert str(caught.value).isprintable()
    mine = workdir.rename(workdir.with_name("my: für-mich"))
    with pytest.raises(ValueError, match="another with --name"):
        check(workdir=mine)


def test_a_preset_of_a_run_has_its_weights_and_a_card(finished_run, tmp_path):
    (path,) = export.run(
        finished_run, name="mine", formats=["preset"], output=tmp_path
    )
    of_run = ClosedLoopAutoencoder.from_preset(finished_run / "model")
    exported = ClosedLoopAutoencoder.from_preset(path)
    for one, other in zip(of_run.weights, exported.weights):
        np.testing.assert_array_equal(other, one)
    card = (path / "README.md").read_text(encoding="utf-8")
    assert card.startswith("# mine\n") and "| psnr | 21.5 |" in card
    assert 'from_preset("mine")' in card


def test_a_saved_model_of_a_preset_says_what_its_card_did(
    finished_run, tmp_path, stubbed
):
    export.run(
        finished_run,
        name="mine",
        formats=["preset", "preset"],  # as good as one
        output=tmp_path,
        licence="Images: CC0. Weights: mine.",
    )
    (path,) = export.run(preset=f"{tmp_path}/presets/mine/", output=tmp_path)
    assert path == tmp_path / "saved_models" / "mine" / "1"
    card = (path / "card.md").read_text(encoding="utf-8")
    assert card.startswith("# mine, version 1\n")
    assert "| psnr | 21.5 |" in card
    assert "| sessions: 1: commit | abc123 |" in card
    assert "\n## Licence\n\nImages: CC0. Weights: mine.\n\n" in card


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"workdir": None, "preset": "digits"}, "without trained weights"),
        ({"formats": ["saved_model", "preset"]}, "exists already"),
        (
            {"formats": ["preset", "saved_model"], "name": "other"}
            | {"batch_sizes": "0"},
            "`batch_sizes` must be one or more",
        ),
    ],
)
def test_nothing_is_written_if_one_format_can_not_be(
    finished_run, tmp_path, stubbed, arguments, message
):
    """Or every try would leave a version, which a server takes."""
    there = tmp_path / "presets" / "mine" / "precious"
    there.parent.mkdir(parents=True)
    there.touch()
    given = {"workdir": finished_run, "name": "mine", "output": tmp_path}
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=message):
        export.run(**given | arguments)
    assert sorted(tmp_path.rglob("*")) == before
