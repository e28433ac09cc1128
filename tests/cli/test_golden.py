"""The first steps of `digits.flags` log what they once logged."""

import json

import pytest

from tests.helpers import golden

TOLERANCE = 1e-4  # relative


@pytest.fixture(scope="module")
def logged(run_script, tmp_path_factory):
    """What is logged now; in a process, which determinism is for as a whole."""
    folder = tmp_path_factory.mktemp("golden") / "run"
    finished = run_script("train.py", *golden.flags(folder))
    assert finished.returncode == 0, finished.stderr
    return golden.logged(folder)


EXPECTED = json.loads(golden.PATH.read_text())


@pytest.mark.parametrize("number", range(len(EXPECTED)))
def test_terms_are_the_stored_ones(logged, number):
    """If they are meant to change: `python -m tests.helpers.golden`."""
    assert logged[number] == pytest.approx(EXPECTED[number], rel=TOLERANCE)


def test_every_interval_is_stored(logged):
    assert [record["step"] for record in logged] == [5, 10, 15, 20]
    assert len(EXPECTED) == len(logged)
