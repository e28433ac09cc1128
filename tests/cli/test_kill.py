"""Training and export are killed ten times, and nothing is lost."""

import json
import pathlib
import subprocess
import sys

import pytest

from tests.helpers.kills import MOMENTS

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def stories(tmp_path_factory):
    """Folders of a run that was not killed, and of one that was."""
    folder = tmp_path_factory.mktemp("kill")
    script = [sys.executable, "-m", "tests.helpers.kills"]
    finished = subprocess.run(
        [*script, f"--workdir={folder}", "--kills=10"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert finished.returncode == 0, finished.stderr
    return [folder / f"story-{number}" for number in range(2)]


def kills(story):
    return json.loads((story / "story.json").read_text())["kills"]


def weights(story):
    return (story / "run" / "model" / "model.weights.h5").read_bytes()


def checkpoint(story):
    (folder,) = story.glob("run/checkpoints/step-00000090")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_ten_kills_end_in_the_same_bits(stories):
    whole, *killed = stories
    assert [len(kills(story)) for story in stories] == [0, 10]
    for story in killed:
        assert weights(story) == weights(whole)
        assert checkpoint(story) == checkpoint(whole)
        digests = [
            json.loads((each / "digests.json").read_text())
            for each in (story, whole)
        ]
        assert digests[0]["saved_model"] == digests[1]["saved_model"]


def test_kills_met_half_written_files(stories):
    met = [
        name
        for story in stories
        for kill in kills(story)
        for name in kill["unfinished"]
    ]
    for part in ("run/checkpoints/.step-", "saved_models/run/.incomplete"):
        assert any(name.startswith(part) for name in met)


def test_nothing_half_written_is_left(stories):
    for story in stories:
        hidden = {p.name for p in story.rglob(".*")}
        assert hidden == {".lock"}
        names = {path.name for path in (story / "run/checkpoints").iterdir()}
        assert names == {f"step-{step:08d}" for step in (84, 87, 90)}
        versions = list(story.glob("saved_models/run/[0-9]*"))
        assert all((path / "card.md").exists() for path in versions)


def test_log_of_a_killed_run_has_no_interval_twice(stories):
    """One is missing if a kill came between its checkpoint and its log."""
    logs = []
    for story in stories:
        lines = (story / "run" / "log.jsonl").read_text().splitlines()
        logs.append([json.loads(line)["step"] for line in lines])
    whole = list(range(5, 91, 5))
    assert logs[0] == whole
    for steps in logs[1:]:
        assert steps == sorted(set(steps) & set(whole))
        assert len(steps) > 10


def test_sessions_are_recorded_to_their_last_interval(stories):
    """A kill takes no more than one, of 5 steps, from the record."""
    for story in stories:
        moments = [MOMENTS[kill["moment"]] for kill in kills(story)]
        killed = sum(moment.command == "train" for moment in moments)
        run = json.loads((story / "run" / "run.json").read_text())
        steps = [each["steps"] for each in run["sessions"]]
        if killed:
            assert len(steps) >= 4
            assert sum(steps) >= 90 - 5 * killed
        else:
            assert steps == [90]
