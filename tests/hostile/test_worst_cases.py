"""The worst of `make hostile`; all of it takes minutes.

One process imports TensorFlow and forks every case. To see one of them:
`python tests/hostile/run.py --only='image folder: a FIFO'`.
"""

import json
import os
import pathlib
import sys

import pytest

from tests.helpers.waiting import Working
from tests.hostile import run

ROOT = pathlib.Path(__file__).parents[2]
WORST = [case.name for case in run.chosen_cases(None, "", worst=True)]


@pytest.fixture(scope="module")
def row_of(tmp_path_factory):
    """Returns a function of a case's name, which waits for its row."""
    folder = tmp_path_factory.mktemp("hostile")
    path = folder / "rows"
    working = Working(
        [
            sys.executable,
            ROOT / "tests/hostile/run.py",
            "--worst",
            f"--rows={path}",
        ],
        folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )

    def find(name):
        text = path.read_text() if path.exists() else ""
        for line in text[: text.rfind("\n") + 1].splitlines():
            row = json.loads(line)
            if row["case"] == name:
                return row

    yield lambda name: working.wait(lambda: find(name))
    working.close()


def test_the_worst_are_some_forty():
    assert 40 <= len(WORST) <= 50


@pytest.mark.parametrize("name", WORST)
def test_case_ends_well(row_of, name):
    row = row_of(name)
    assert row["verdict"] == "ok", row["reason"]
