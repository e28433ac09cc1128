"""Training and export are killed at every moment, and nothing is lost."""

import json
import pathlib
import sys

import pytest

from tests.helpers.kills import MOMENTS
from tests.helpers.kills import STEPS
from tests.helpers.kills import STORIES
from tests.helpers.waiting import Working

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def count(thorough):
    """The number of stories of kills; the last one has no other moments."""
    return len(STORIES) if thorough else len(STORIES) - 1


@pytest.fixture(scope="module")
def left(tmp_path_factory, count):
    """Returns a function of the path of a file, which waits for it.

    Story 0 is of a run that is not killed, the others are of kills. One
    process tells them, one after the other: a test waits for its own.
    """
    folder = tmp_path_factory.mktemp("kill")
    arguments = [f"--workdir={folder}", f"--stories={count}", "--lanes=1"]
    script = [sys.executable, "-m", "tests.helpers.kills"]
    working = Working([*script, *arguments], folder, cwd=ROOT)

    yield working.left
    working.close()


@pytest.fixture
def told(left):
    """Returns a function of a number, of that story's folder."""
    return lambda number: left(f"story-{number}/story.json").parent


@pytest.fixture
def stories(told, count):
    return [told(number) for number in range(count + 1)]


def kills(story):
    return json.loads((story / "story.json").read_text())["kills"]


def weights(story):
    return (story / "run" / "model" / "model.weights.h5").read_bytes()


def checkpoint(story):
    (folder,) = story.glob(f"run/checkpoints/step-{STEPS:08d}")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_run_that_is_not_killed_is_trained(left):
    assert left("story-0/run/model").is_dir()


def test_run_that_is_not_killed_is_exported(told):
    assert kills(told(0)) == []


@pytest.mark.parametrize(
    "number",
    [
        *range(1, len(STORIES)),
        pytest.param(len(STORIES), marks=pytest.mark.thorough),
    ],
)
def test_kills_end_in_the_same_bits(told, number):
    story, whole = told(number), told(0)
    assert len(kills(story)) == len(STORIES[number - 1])
    assert weights(story) == weights(whole)
    assert checkpoint(story) == checkpoint(whole)
    digests, expected = [
        json.loads((each / "digests.json").read_text())
        for each in (story, whole)
    ]
    assert digests == {name: expected[name] for name in digests}
    if any(MOMENTS[k["moment"]].command == "export" for k in kills(story)):
        assert "saved_model" in digests


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
        assert names == {
            f"step-{step:08d}" for step in range(STEPS - 6, STEPS + 1, 3)
        }
        versions = list(story.glob("saved_models/run/[0-9]*"))
        assert all((path / "card.md").exists() for path in versions)


def test_log_of_a_killed_run_has_no_interval_twice(stories):
    """One is missing if a kill came between its checkpoint and its log."""
    logs = []
    for story in stories:
        lines = (story / "run" / "log.jsonl").read_text().splitlines()
        logs.append([json.loads(line)["step"] for line in lines])
    whole = list(range(5, STEPS + 1, 5))
    assert logs[0] == whole
    for steps in logs[1:]:
        assert steps == sorted(set(steps) & set(whole))
        assert len(steps) > len(whole) / 2


def test_sessions_are_recorded_to_their_last_interval(stories):
    """A kill takes no more than one, of 5 steps, from the record."""
    for story in stories:
        moments = [MOMENTS[kill["moment"]] for kill in kills(story)]
        killed = sum(moment.command == "train" for moment in moments)
        run = json.loads((story / "run" / "run.json").read_text())
        steps = [each["steps"] for each in run["sessions"]]
        if killed:
            assert len(steps) > 1
            assert sum(steps) >= STEPS - 5 * killed
        else:
            assert steps == [STEPS]
