"""Every case of the list ends as it should; see `cases.py`.

To see one: `pytest --thorough tests/hostile -k 'its lock is a FIFO'`.
"""

import os
import re
import subprocess
import sys

import pytest

from tests.helpers.script_processes import ROOT
from tests.hostile import material
from tests.hostile.cases import CASES
from tests.hostile.cases import held
from tests.hostile.conftest import MOST_MIB
from tests.hostile.conftest import SECONDS
from tests.hostile.conftest import harm

RAW = re.compile(r"{{function_node|{{node|\[Op:|Graph execution error")


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


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            case,
            id=case.name,
            marks=[] if case.worst else pytest.mark.thorough,
        )
        for case in CASES
    ],
)
def test_it_ends_well(case, copied, run_script):
    if case.run:
        copied()
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


@pytest.fixture(autouse=True)
def released():
    yield
    while held:
        held.pop().close()


@pytest.mark.parametrize(
    "change, found",
    [
        (lambda: os.remove(".env"), [".env"]),
        (lambda: material.cut("notes.txt"), ["notes.txt"]),
        (lambda: material.write("new"), ["new"]),
        (lambda: material.write("run/mine", "x"), ["run/mine"]),
        (lambda: material.write("run/model/x"), []),
        (lambda: material.write("run/log.jsonl", "x"), []),
    ],
)
def test_harm_is_found(change, found):
    material.write("run/mine")
    material.write("run/log.jsonl")
    before = material.digests()
    change()
    assert harm(before, material.digests(), ("run",)) == found
