"""Whose files a command may touch: a run's, in a run's folder."""

import functools
import json

from keras_csc_cli import command_line
from keras_csc_cli import evaluate
from keras_csc_cli import export
from keras_csc_cli import train
from keras_csc_cli import train_options
from keras_csc_cli import workdir as workdirs

import pytest

from tests.helpers import runs

pytestmark = pytest.mark.usefixtures("eager")

RUN = [*runs.SMALL, "--steps=2", "--metrics="]
options = functools.partial(runs.options, RUN)


@pytest.fixture
def project(tmp_path):
    """A folder of the user's, with hidden and other files."""
    folder = tmp_path / "project"
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    for name in (".git/HEAD", ".env", ".model-old/mine", "pictures/.hidden"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / ".link").symlink_to(outside)
    return folder


def commands(path):
    """Functions that do as the scripts, on a folder."""
    return {
        "train": lambda: train.train(options(path)),
        "evaluate": lambda: evaluate.evaluate(path),
        "evaluate checkpoint": lambda: evaluate.evaluate(path, checkpoint=True),
        "export": lambda: export.run(path, output=path),
    }


# === What commands refuse ===


@pytest.mark.parametrize("name", list(commands("")))
def test_folder_that_is_no_runs_is_left_as_it_is(project, name):
    before = runs.contents(project)
    with pytest.raises(ValueError):
        commands(project)[name]()
    assert runs.contents(project) == before


@pytest.mark.parametrize("text", ["[]", '{"batch_size": 3}'])
def test_flags_of_another_kind_make_no_run(project, text):
    (project / "flags.json").write_text(text)
    before = runs.contents(project)
    for name in ("train", "evaluate"):
        with pytest.raises(ValueError, match="flags.json"):
            commands(project)[name]()
    assert runs.contents(project) == before


@pytest.mark.parametrize("path", ["\udcff", "gs://bucket/run", "file"])
def test_names_that_are_no_folder_of_this_machine(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    message = "workdir|File exists|no trained model|--name must be"
    for command in commands(path).values():
        with pytest.raises((ValueError, OSError), match=message):
            command()
    assert runs.contents(tmp_path) == {"file": b"mine"}


def test_folder_with_hidden_files_can_become_a_runs(project, short_export):
    for name in ("pictures/.hidden", ".model-old/mine"):
        (project / name).unlink()
        (project / name).parent.rmdir()
    before = runs.contents(project)
    for name in ("train", "export"):
        commands(project)[name]()
    after = runs.contents(project)
    assert {name: after.get(name) for name in before} == before
    assert "flags.json" in after and "model/config.json" in after


# === What a killed run left ===


LEFT = [
    ".run.partial-01234567.json",
    ".evaluation.partial-01234567.json",
    "..model-new-abcd1234.partial/model.weights.h5",
    ".model-new/config.json",
    "checkpoints/.step-00000002.partial/checkpoint.index",
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


@pytest.fixture
def run(tmp_path):
    """A run's folder, as it was killed, with files of the user's."""
    path = tmp_path / "run"
    with workdirs.Workdir(path) as workdir:
        workdir.claim(options(path))
    for name in (*LEFT, *KEPT):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("left" if name in LEFT else "kept")
    (path / ".link").symlink_to(tmp_path)
    (path / ".flags.partial-89abcdef.json").symlink_to(tmp_path / "elsewhere")
    return path


def test_only_what_a_killed_run_left_is_removed(run):
    before = runs.contents(run)
    with pytest.raises(ValueError, match="no trained model"):
        evaluate.evaluate(run)
    assert runs.contents(run) == before  # nothing by an evaluation
    with workdirs.Workdir(run):
        pass
    after = runs.contents(run)
    assert not set(LEFT) & set(after) and set(KEPT) < set(after)
    assert {".link", ".flags.partial-89abcdef.json", ".lock"} < set(after)


def test_model_is_not_lost_between_two_renamings(run):
    (run / ".model-old").mkdir()
    (run / ".model-old" / "config.json").write_text("{}")
    with workdirs.Workdir(run) as workdir:
        assert (workdir.model / "config.json").read_text() == "{}"
    assert not (run / ".model-old").exists()


def test_files_of_the_users_in_the_model_stay(run):
    (run / "model").mkdir()
    (run / "model" / "notes.txt").write_text("notes")
    with pytest.raises(ValueError, match="notes.txt.*Move it away"):
        train.train(options(run))
    assert (run / "model" / "notes.txt").read_text() == "notes"


def test_a_lock_keeps_what_it_holds(run, tmp_path):
    """And is not followed if it is a link."""
    (run / ".lock").write_text("mine")
    with workdirs.Workdir(run):
        with pytest.raises(ValueError, match="in use by another process"):
            train.train(options(run))
    assert (run / ".lock").read_text() == "mine"
    (run / ".lock").rename(tmp_path / "target")
    (run / ".lock").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="Too many levels .*lock"):
        train.train(options(run))
    assert (tmp_path / "target").read_text() == "mine"


def test_part_of_another_run_is_no_working_directory(run):
    before = runs.contents(run)
    with pytest.raises(ValueError, match="is part of the run"):
        train.train(options(run / "pictures" / ".." / "checkpoints" / "new"))
    assert runs.contents(run) == before


# === Options of a run ===


def begun(path):
    """A run's folder has a checkpoint."""
    (path / "checkpoints" / "step-00000001").mkdir(parents=True)


@pytest.mark.parametrize(
    "first, second, message",
    [
        (["--data_dir=/before"], ["--data_dir=/now", "--metrics=codes"], None),
        ([], ["--augment=flip"], "augment was , is flip"),
        (["--save_every=2"], ["--save_every=3"], None),
    ],
)
def test_what_may_change_in_a_run_that_goes_on(
    tmp_path, first, second, message
):
    """It is then recorded."""
    with workdirs.Workdir(tmp_path) as workdir:
        workdir.claim(options(tmp_path, *first))
        before, now = workdir.recorded(), options(tmp_path, *second)
        begun(tmp_path)
        if message is None:
            workdir.claim(now)
            assert workdir.recorded() == vars(now)
            return
        with pytest.raises(ValueError, match=message):
            workdir.claim(now)
        assert workdir.recorded() == before


def test_an_option_that_there_was_not_had_its_default(tmp_path):
    workdir = workdirs.Workdir(tmp_path)
    workdir.claim(options(tmp_path))
    begun(tmp_path)
    recorded = workdir.recorded()
    del recorded["augment"]
    workdir.flags.write_text(json.dumps(recorded))
    with pytest.raises(ValueError, match="augment was , is"):
        workdir.claim(options(tmp_path, "--augment=flip"))
    workdir.claim(options(tmp_path))


def test_options_bind_when_they_have_made_something(tmp_path):
    """A run that failed before leaves others free."""
    with workdirs.Workdir(tmp_path) as workdir:
        workdir.claim(options(tmp_path, "--steps=5"))
        now = options(tmp_path, "--steps=7", "--preset=mnist")
        workdir.claim(now)
        (tmp_path / "model").mkdir()
        with pytest.raises(ValueError, match="steps was 7, is 5"):
            workdir.claim(options(tmp_path, "--steps=5"))
        assert workdir.recorded() == vars(now)


def test_folder_of_data_is_recorded_wherever_one_looks_from(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for given, recorded in (
        ("images", f"{tmp_path}/images"),
        ("gs://bucket/images", "gs://bucket/images"),
    ):
        assert options("run", f"--data_dir={given}").data_dir == recorded


def test_recorded_options_come_back_as_they_were(tmp_path):
    for path in sorted(command_line.FLAG_FILES.glob("*.flags")):
        given = [f"--flagfile={path}", "--architecture=tight_frame=true"]
        parsed = train_options.parse(given)
        recorded = vars(parsed)
        (tmp_path / "flags.json").write_text(json.dumps(recorded))
        if parsed.dataset:
            assert workdirs.Workdir(tmp_path).options() == parsed


@pytest.mark.parametrize(
    "name, value",
    [
        ("architecture", 5),
        ("batch_size", 0),
        ("ema_momentum", 0.9),  # a flag once
    ],
)
def test_recorded_options_are_checked_as_flags_are(tmp_path, name, value):
    message = f"flags.json is damaged or of another version.*{name}"
    with workdirs.Workdir(tmp_path) as workdir:
        workdir.claim(options(tmp_path))
        written = json.dumps({**workdir.recorded(), name: value})
        workdir.flags.write_text(written)
        with pytest.raises(ValueError, match=message):
            workdir.claim(options(tmp_path, "--save_every=7"))
    with pytest.raises(ValueError, match=message):
        evaluate.evaluate(tmp_path, checkpoint=True)
    assert workdir.flags.read_text() == written
