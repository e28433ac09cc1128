"""The worst of `make hostile`; all of it takes minutes.

One process imports TensorFlow and forks every case. To see one of them:
`python tests/hostile/run.py --only='image folder: a FIFO'`.
"""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from tests.hostile import run

ROOT = pathlib.Path(__file__).parents[2]
WORST = [case.name for case in run.chosen_cases(None, "", worst=True)]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Dict from the names of the cases to their rows."""
    path = tmp_path_factory.mktemp("hostile") / "rows.json"
    ended = subprocess.run(
        [
            sys.executable,
            ROOT / "tests/hostile/run.py",
            "--worst",
            f"--rows={path}",
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert path.exists(), ended.stderr
    return {row["case"]: row for row in json.loads(path.read_text())}


def test_the_worst_are_some_forty():
    assert 40 <= len(WORST) <= 50


@pytest.mark.parametrize("name", WORST)
def test_case_ends_well(rows, name):
    row = rows[name]
    assert row["verdict"] == "ok", row["reason"]
