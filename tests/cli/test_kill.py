"""Training and export are killed at every moment, and nothing is lost."""

import json
import pathlib
import subprocess
import sys

import pytest

from tests.helpers.kills import MOMENTS
from tests.helpers.kills import STEPS

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The stories of a run that was not killed, and of one that was."""
    folder = tmp_path_factory.mktemp("kill") / "stories"
    command = [sys.executable, "-m", "tests.helpers.kills", "--rounds=1"]
    finished = subprocess.run(
        [*command, f"--workdir={folder}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return [folder / "whole", folder / "round-1"]


def read(story):
    return json.loads((story / "story.json").read_text())


def test_kills_end_in_the_same_bits(told):
    whole, killed = map(read, told)
    assert [len(story["kills"]) for story in (whole, killed)] == [0, 4]
    assert killed["result"] == whole["result"]
    names = set(whole["result"])
    assert {"saved_model", "run/model/model.weights.h5"} < names
    assert f"run/checkpoints/step-{STEPS:08d}/checkpoint.index" in names


def test_half_written_files_are_met_and_not_left(told):
    killed = read(told[1])
    met = [name for kill in killed["kills"] for name in kill["left"]]
    for part in ("run/checkpoints/.step-", "saved_models/run/.incomplete"):
        assert any(name.startswith(part) for name in met)
    assert killed["unfinished"] == []
    expected = {f"step-{STEPS - step:08d}" for step in (0, 3, 6)}
    checkpoints = (told[1] / "run" / "checkpoints").iterdir()
    assert {path.name for path in checkpoints} == expected


def test_what_is_recorded_of_a_killed_run(told):
    """No interval twice; a kill takes no more than one from either record."""
    steps = []
    for story in told:
        lines = (story / "run" / "log.jsonl").read_text().splitlines()
        steps.append([json.loads(line)["step"] for line in lines])
    assert steps[0] == list(range(5, STEPS + 1, 5))
    assert steps[1] == sorted(set(steps[1]) & set(steps[0]))
    assert len(steps[1]) > len(steps[0]) / 2
    run = json.loads((told[1] / "run" / "run.json").read_text())
    trained = [each["steps"] for each in run["sessions"]]
    kills = sum(moment.command == "train" for moment in MOMENTS.values())
    assert len(trained) > 1 and sum(trained) >= STEPS - 5 * kills
