"""Every case of the list ends as it should; see `cases.py`.

To see one: `pytest --thorough tests/hostile -k 'its lock is a FIFO'`.
"""

import faulthandler
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.helpers.script_processes import ROOT
from tests.hostile import cases
from tests.hostile import material

SECONDS = 300
MOST_MIB = 1024
RAW = re.compile(r"{{function_node|{{node|\[Op:|Graph execution error")
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
    yield
    faulthandler.cancel_dump_traceback_later()
    while cases.held:
        cases.held.pop().close()


@pytest.fixture(scope="session")
def finished(tmp_path_factory, run_script):
    """A finished run."""
    folder = tmp_path_factory.mktemp("hostile")
    done = run_script(*cases.TRAIN.split(), cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run"


def copy(run):
    """Copies a run, and puts files of the user's into it."""
    shutil.copytree(run, "run")
    for name in (".mine", "mine.txt", "checkpoints/.mine/key"):
        material.write(f"run/{name}", "mine")


def harm(before, after, writes):
    """What changed that should not have: a list of names.

    Args:
        before, after: `material.digests`.
        writes: names of what may come into being, with all below it.
    """
    changed = {name for name in before if after.get(name) != before[name]}
    new = set(after) - set(before)
    changed = {name for name in changed if not is_the_runs(name, writes)}
    new = {name for name in new if name.split("/")[0] not in writes}
    return sorted(changed | new)


def is_the_runs(name, writes):
    first, *rest = name.split("/")
    if first not in writes or not rest or "mine" in name:
        return False
    return first not in ("run", ".git") or rest[0] in RUNS


def shell(case):
    """Runs a line for bash as a user would, beside what runs already."""
    python = os.path.dirname(sys.executable)
    return subprocess.run(
        ["bash", "-c", case.command],
        env={
            **os.environ,
            "PATH": f"{python}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "TRAINING": str(ROOT / "training"),
            **case.environment,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


@pytest.mark.thorough
@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.name)
def test_it_ends_well(case, finished, run_script):
    if case.run:
        copy(finished)
    case.setup()
    before = material.digests()
    if "$TRAINING" in case.command:
        ended = shell(case)
    else:
        ended = run_script(*case.command.split(" "), cwd=os.getcwd())
        assert ended.mib < MOST_MIB
    assert harm(before, material.digests(), case.writes) == []
    said = ended.stderr
    assert ended.returncode in case.codes, said[-3000:]
    assert "Traceback" not in said and not RAW.search(said), said[-3000:]
    assert re.search(case.says, said), said[-3000:]
    if ended.returncode == 2:
        assert 1 <= len(said.splitlines()) <= 1 + case.notices, said
    assert ended.returncode != 0 or case.check()


def test_harm_is_found():
    for name in ("run/mine", "run/log.jsonl"):
        material.write(name)
    before = material.digests()
    os.remove(".env")
    material.cut("notes.txt")
    for name in ("new", "run/mine", "run/model/x", "run/log.jsonl"):
        material.write(name, "x")
    found = harm(before, material.digests(), ("run",))
    assert found == [".env", "new", "notes.txt", "run/mine"]
