"""Whose files a command may touch: those of a run, in a run's folder."""

import functools
import json
import os
import pathlib

from keras_csc_cli import evaluate
from keras_csc_cli import export
from keras_csc_cli import train
from keras_csc_cli import workdir as workdirs
from keras_csc_cli.command_line import UsageError

import pytest

from tests.helpers import runs

pytestmark = pytest.mark.usefixtures("eager")

TINY = [*runs.TINY, "--steps=2", "--evaluation_limit=40", "--noevaluate"]
options = functools.partial(runs.options, TINY)


def contents(folder):
    """Dict from the path of everything in a folder to what it holds."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        if path.is_file()
        else os.readlink(path)
        if path.is_symlink()
        else None
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def project(tmp_path):
    """A folder of the user's, with hidden and other files."""
    folder = tmp_path / "project"
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    (folder / ".git" / "objects").mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/main")
    (folder / ".env").write_text("KEY=value")
    (folder / ".model-old").mkdir()
    (folder / ".model-old" / "mine").write_text("mine")
    (folder / ".link").symlink_to(outside)
    (folder / "pictures").mkdir()
    (folder / "pictures" / ".hidden").write_text("hidden")
    (folder / "notes.txt").write_text("notes")
    return folder


def commands(path):
    """Functions that do as the scripts, on a folder."""
    models = pathlib.Path(path) / "saved_models"
    return {
        "train": lambda: train.train(options(path)),
        "evaluate": lambda: evaluate.evaluate(path, {}),
        "evaluate checkpoint": lambda: evaluate.evaluate(
            path, {}, checkpoint=True
        ),
        "export": lambda: export.run(path, saved_models=models),
    }


@pytest.mark.parametrize("name", list(commands("")))
def test_folder_that_is_no_runs_is_left_as_it_is(project, name):
    before = contents(project)
    with pytest.raises(UsageError):
        commands(project)[name]()
    assert contents(project) == before


@pytest.mark.parametrize("value", [[], {}, {"batch_size": 3}, "text", None, 1])
@pytest.mark.parametrize("name", ["train", "evaluate"])
def test_flags_of_another_kind_make_no_run(project, name, value):
    (project / "flags.json").write_text(json.dumps(value))
    before = contents(project)
    with pytest.raises(UsageError, match="flags.json"):
        commands(project)[name]()
    assert contents(project) == before


@pytest.mark.parametrize("name", list(commands("")))
@pytest.mark.parametrize("path", ["", " ", "\udcff", "gs://bucket/run"])
def test_names_that_are_no_folder_of_this_machine(
    tmp_path, monkeypatch, name, path
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="workdir"):
        commands(path)[name]()
    assert not contents(tmp_path)


def test_folder_with_hidden_files_can_become_a_runs(project, short_export):
    (project / "pictures" / ".hidden").unlink()
    (project / "pictures").rmdir()
    (project / ".model-old" / "mine").unlink()
    (project / ".model-old").rmdir()
    before = contents(project)
    for command in commands(project).values():
        command()
    after = contents(project)
    assert {name: after.get(name) for name in before} == before
    assert "flags.json" in after and "model/config.json" in after


@pytest.fixture
def run(tmp_path):
    """A run's folder, as it was killed, with files of the user's."""
    path = tmp_path / "run"
    with workdirs.Workdir(path) as workdir:
        workdir.claim(options(path))
    for name in ("checkpoints", "pictures"):
        (path / name).mkdir()
    for name in LEFT:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("left")
    for name in KEPT:
        (path / name).write_text("kept")
    (path / ".link").symlink_to(tmp_path)
    (path / ".flags.partial-89abcdef.json").symlink_to(tmp_path / "elsewhere")
    return path


LEFT = [
    ".run.partial-01234567.json",
    ".evaluation-digits-train.partial-01234567.json",
    "..model-new-abcd1234/model.weights.h5",
    ".model-new/config.json",
    "checkpoints/.step-00000002.partial/checkpoint.index",
    "checkpoints/.best-00000002.partial/checkpoint.index",
    "pictures/.atoms_1.partial-01234567.png",
]
KEPT = [
    ".env",
    ".partial",
    ".run.json",
    ".model-newer",
    ".evaluation.json.swp",
    ".run.partial.json",
    ".report.partial-mine.html",
    "checkpoints/.gitignore",
    "checkpoints/.step-1.partial",
    "pictures/.DS_Store",
    "pictures/.mine.png.tmp",
]


def test_only_what_a_killed_run_left_is_removed(run):
    before = contents(run)
    with workdirs.Workdir(run):
        pass
    after = contents(run)
    gone = {name for name in before if name not in after}
    assert {name for name in before if before[name] == b"left"} <= gone
    assert {name for name in before if before[name] == b"kept"} <= set(after)
    assert {".link", ".flags.partial-89abcdef.json", ".lock"} <= set(after)


def test_evaluation_removes_nothing(run):
    before = contents(run)
    with pytest.raises(UsageError, match="no trained model"):
        evaluate.evaluate(run, {})
    assert contents(run) == before


def test_model_is_not_lost_between_two_renamings(run):
    (run / ".model-old").mkdir()
    (run / ".model-old" / "config.json").write_text("{}")
    with workdirs.Workdir(run) as workdir:
        assert (workdir.model / "config.json").read_text() == "{}"
    assert not (run / ".model-old").exists()


def test_files_of_the_users_in_the_model_stay(run):
    (run / "model").mkdir()
    (run / "model" / "notes.txt").write_text("notes")
    with pytest.raises(UsageError, match="notes.txt.*Move it away"):
        train.train(options(run))
    assert (run / "model" / "notes.txt").read_text() == "notes"


@pytest.mark.parametrize("name", ["train", "evaluate"])
def test_lock_that_is_a_link_is_not_followed(run, tmp_path, name):
    target = tmp_path / "target"
    target.write_text("precious")
    (run / ".lock").unlink()
    (run / ".lock").symlink_to(target)
    with pytest.raises(UsageError, match="can't be written: Too many levels"):
        commands(run)[name]()
    assert target.read_text() == "precious"


def test_lock_of_the_users_keeps_what_it_holds(tmp_path):
    (tmp_path / ".lock").write_text("mine")
    with workdirs.Workdir(tmp_path):
        pass
    assert (tmp_path / ".lock").read_text() == "mine"


def test_workdir_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is not a folder"):
        train.train(options(tmp_path / "file"))


def begun(path):
    """A run's folder has a checkpoint."""
    (path / "checkpoints" / "step-00000001").mkdir(parents=True)


@pytest.mark.parametrize("part", ["model", "checkpoints/new"])
def test_part_of_another_run_is_no_working_directory(run, part):
    before = contents(run)
    with pytest.raises(UsageError, match="is part of the run"):
        train.train(options(run / "pictures" / ".." / part))
    assert contents(run) == before


def test_an_option_that_there_was_not_had_its_default(tmp_path):
    given = options(tmp_path)
    with workdirs.Workdir(tmp_path) as workdir:
        workdir.claim(given)
        begun(tmp_path)
        recorded = vars(given).copy()
        del recorded["horizontal_flip"]
        workdir.flags.write_text(json.dumps(recorded))
        workdir.claim(given)
        with pytest.raises(UsageError, match="horizontal_flip was False, is"):
            workdir.claim(options(tmp_path, "--horizontal_flip"))


def test_options_that_may_change_are_recorded_as_they_are_now(tmp_path):
    """By the process that holds the folder alone."""
    with workdirs.Workdir(tmp_path) as workdir:
        workdir.claim(options(tmp_path, "--data_dir=/before"))
        begun(tmp_path)
        now = options(tmp_path, "--data_dir=/now", "--log_every=7")
        workdirs.Workdir(tmp_path, hold=False).claim(now)
        assert workdir.recorded()["data_dir"] == "/before"
        workdir.claim(now)
        assert workdir.recorded() == vars(now)
        with pytest.raises(UsageError, match="steps was 2, is 3"):
            workdir.claim(options(tmp_path, "--data_dir=/other", "--steps=3"))
        assert workdir.recorded() == vars(now)


@pytest.mark.parametrize(
    "given, recorded",
    [
        ("images", "{here}/images"),
        ("../images", "{here.parent}/images"),
        ("~/images", "{home}/images"),
        ("/images", "/images"),
        ("gs://bucket/images", "gs://bucket/images"),
    ],
)
def test_folder_of_data_is_recorded_wherever_one_looks_from(
    tmp_path, monkeypatch, given, recorded
):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    expected = recorded.format(here=here, home=tmp_path / "home")
    with workdirs.Workdir(tmp_path / "run") as workdir:
        workdir.claim(options(tmp_path / "run", f"--data_dir={given}"))
        assert workdir.recorded()["data_dir"] == expected
        # An earlier version recorded what was typed.
        earlier = {**workdir.recorded(), "data_dir": given}
        workdir.flags.write_text(json.dumps(earlier))
        begun(tmp_path / "run")
        workdir.claim(options(tmp_path / "run", f"--data_dir={given}"))
        assert workdir.recorded()["data_dir"] == expected


@pytest.mark.parametrize("made", ["checkpoints/step-00000002", "model"])
def test_options_bind_when_they_have_made_something(tmp_path, made):
    """A run that failed before leaves others free."""
    with workdirs.Workdir(tmp_path) as workdir:
        workdir.claim(options(tmp_path, "--steps=5"))
        now = options(tmp_path, "--steps=7", "--preset=mnist")
        workdir.claim(now)
        assert workdir.recorded() == vars(now)
        (tmp_path / made).mkdir(parents=True)
        with pytest.raises(UsageError, match="steps was 7, is 5"):
            workdir.claim(options(tmp_path, "--steps=5"))
        assert workdir.recorded() == vars(now)


def test_cache_must_stay_where_images_in_memory_have_another_order(tmp_path):
    of_tfds = options(tmp_path, "--dataset=mnist", "--cache_mib=0")
    for given in (of_tfds, options(tmp_path, "--cache_mib=0")):
        workdir = workdirs.Workdir(tmp_path / given.dataset)
        begun(workdir.path)
        workdir.claim(given)
        given.cache_mib = 4096
        if given.dataset == "digits":
            workdir.claim(given)
            continue
        with pytest.raises(UsageError, match="cache_mib was 0, is 4096"):
            workdir.claim(given)


def test_steps_at_which_the_best_is_measured_must_stay(tmp_path):
    for given, best in (("last", []), ("best", ["--keep_best=psnr"])):
        workdir = workdirs.Workdir(tmp_path / given)
        begun(workdir.path)
        workdir.claim(options(workdir.path, "--save_every=2", *best))
        now = options(workdir.path, "--save_every=3", *best)
        if best:
            with pytest.raises(UsageError, match="_every was 2, is 3"):
                workdir.claim(now)
        else:
            workdir.claim(now)


def test_options_of_another_version_are_not_lost(tmp_path):
    workdir = workdirs.Workdir(tmp_path)
    workdir.claim(options(tmp_path))
    written = json.dumps({**workdir.recorded(), "foo": 1})
    workdir.flags.write_text(written)
    with pytest.raises(UsageError, match="another version .* it has foo"):
        workdir.claim(options(tmp_path, "--log_every=7"))
    assert workdir.flags.read_text() == written
