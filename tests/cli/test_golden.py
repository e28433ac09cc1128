"""The first steps of `digits.flags` log what they once logged.

    python -m tests.cli.test_golden

writes what they log now, if that is meant to change.
"""

import json
import pathlib
import tempfile

from keras_csc_cli import train
from keras_csc_cli import train_options

import pytest

PATH = pathlib.Path(__file__).parents[1] / "golden" / "digits.json"
FLAGS = (
    "--flagfile=digits.flags",
    "--dtype_policy=float64",
    "--architecture=filters=8,16",
    "--schedule=constant",
    "--steps=5",
    "--metrics=",
)
# What the clock says.
TIMES = {"images_per_second", "input_wait", "time"}
TOLERANCE = 1e-4  # relative
# Of shares of zeros: codes appear and vanish by the rounding of a processor.
OF_SHARES = 1e-3


def logged(folder):
    """Trains; returns what is logged at the end, but for times, as a dict."""
    train.train(train_options.parse([*FLAGS, f"--workdir={folder}"]))
    record = json.loads((pathlib.Path(folder) / "log.jsonl").read_text())
    return {k: value for k, value in record.items() if k not in TIMES}


def test_terms_are_the_stored_ones(eager, tmp_path):
    expected, found = json.loads(PATH.read_text()), logged(tmp_path / "run")
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        share = name.startswith("zero_fraction/")
        most = {"abs": OF_SHARES} if share else {"rel": TOLERANCE}
        assert found[name] == pytest.approx(value, **most), name


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as where:
        record = logged(f"{where}/run")
    PATH.write_text(json.dumps(record, indent=1) + "\n")
    print(f"Written: {PATH}")
