import faulthandler
import resource
import shutil

import pytest

from keras_csc.files import locked
from tests.hostile import cases
from tests.hostile import material

SECONDS = 300
MOST_MIB = 1024
PLANTED = {
    ".git/HEAD": "ref: refs/heads/main\n",
    ".env": "TOKEN=1\n",
    ".notes.tmp": "mine\n",
    "notes.txt": "what I know\n",
    "pictures/holiday.txt": "no run's\n",
}
# In a folder that is a run's. What a set-up calls mine is none of these.
RUNS = (
    *(".lock", "checkpoints", "evaluation.json", "flags.json", "log.jsonl"),
    *("model", "pictures", "run.json", "tensorboard"),
)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A user's folder with files of the user's, the current one.

    A test that hangs ends the process.
    """
    for name, text in PLANTED.items():
        material.write(tmp_path / name, text)
    monkeypatch.chdir(tmp_path)
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    yield tmp_path
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="session")
def finished(shared_folder, run_script):
    """A finished run."""
    folder = shared_folder / "hostile"
    with locked(shared_folder / "hostile.lock"):
        if not folder.exists():
            folder.mkdir()
            command = cases.TRAIN.split()
            done = run_script(*command, cwd=folder)
            assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.fixture
def copied(finished):
    """Returns a function that copies the run, with files of the user's."""

    def copy():
        shutil.copytree(finished, "run")
        for name in (".mine", "mine.txt", "checkpoints/.mine/key"):
            material.write(f"run/{name}", "mine")

    return copy


@pytest.fixture
def little_memory():
    """The test takes little memory, beyond what others have had."""

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    before = peak()
    yield
    assert peak() - before < MOST_MIB


def harm(before, after, writes):
    """What changed that should not have: a list of names.

    Args:
        before, after: `material.digests`.
        writes: names of what may come into being, with all below it.
    """
    changed = {name for name in before if after.get(name) != before[name]}
    new = set(after) - set(before)
    changed = {name for name in changed if not _is_the_runs(name, writes)}
    new = {name for name in new if name.split("/")[0] not in writes}
    return sorted(changed | new)


def _is_the_runs(name, writes):
    first, *rest = name.split("/")
    if first not in writes or not rest or "mine" in name:
        return False
    return first not in ("run", ".git") or rest[0] in RUNS
