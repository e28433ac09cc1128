"""The harness of `make hostile`: every verdict can occur, and is right."""

import json
import pathlib
import shutil
import subprocess
import sys

import pytest

from tests.hostile import judging
from tests.hostile import material
from tests.hostile import run
from tests.hostile import trees
from tests.hostile.case import Case
from tests.hostile.case import refused

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    """Exit code, output and rows of the harness on `bad_cases.py`."""
    folder = tmp_path_factory.mktemp("bad")
    ended = subprocess.run(
        [
            sys.executable,
            ROOT / "tests/hostile/run.py",
            f"--cases={ROOT / 'tests/helpers/bad_cases.py'}",
            f"--rows={folder / 'rows.json'}",
            "--bare",
        ],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert (folder / "rows.json").exists(), ended.stderr
    lines = (folder / "rows.json").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return ended, rows


def test_verdicts_are_what_the_cases_are_made_for(bad):
    _, rows = bad
    found = {row["case"]: row["verdict"] for row in rows}
    assert found == {name: name.partition(",")[0] for name in found}


def test_every_verdict_can_occur(bad):
    _, rows = bad
    found = {row["verdict"] for row in rows}
    assert found == set(judging.VERDICTS) - {"slow"}


@pytest.mark.parametrize("seconds, verdict", [(4.9, "ok"), (5.1, "slow")])
def test_what_is_refused_is_refused_soon(seconds, verdict):
    case = Case("x: a mistake", refused("number"), command="train.py")
    outcome = judging.Outcome(2, text="x: number", cpu_seconds=seconds)
    assert judging.verdict(case, outcome)[0] == verdict


def test_bad_ends_are_printed_and_the_exit_code_is_1(bad):
    ended, rows = bad
    assert ended.returncode == 1, ended.stderr
    for row in rows:
        assert " ".join(row["case"].split())[:60].strip() in ended.stdout
        assert row["verdict"] in ended.stdout


def test_good_ends_are_exit_code_0(tmp_path):
    ended = subprocess.run(
        [
            sys.executable,
            ROOT / "tests/hostile/run.py",
            f"--cases={ROOT / 'tests/helpers/bad_cases.py'}",
            "--only=ok,",
            "--bare",
        ],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout


def test_cases_are_many_and_have_names_of_their_own():
    cases = run.chosen_cases(None, "", False)
    assert len(cases) >= 250
    for case in cases:
        assert bool(case.command) + bool(case.shell) + bool(case.snippet) == 1


def test_set_ups_and_snippets_are_without_mistakes(tmp_path, monkeypatch):
    """On a folder that looks like a run's."""
    finished = tmp_path / "finished"
    for name in trees.RUNS:
        file = name if "." in name else f"{name}/x"
        material.write(finished / file, "{}")
    for step in ("step-00000002", "step-00000004"):
        for file in ("checkpoint.index", "checkpoint.data-00000-of-00001"):
            material.write(finished / "checkpoints" / step / file, "x" * 9)
    material.write(finished / "model" / "config.json", '{"config": {}}')
    material.write(finished / "model" / "metadata.json", "{}")
    material.write(finished / "model" / "model.weights.h5", "x" * 9)
    monkeypatch.setitem(material.PREPARED, "run", finished)
    for number, case in enumerate(run.chosen_cases(None, "", False)):
        compile(case.snippet, case.name, "exec")
        compile(case.setup, case.name, "exec")
        compile(case.expected.check, case.name, "eval")
        if not case.snippet:
            (tmp_path / str(number)).mkdir()
            with material.inside(tmp_path / str(number)):
                exec(case.setup, material.names())
            shutil.rmtree(tmp_path / str(number))
    for file in material.held:
        file.close()
    material.held.clear()
