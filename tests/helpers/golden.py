"""The golden run: what the first 5 steps of `digits.flags` log.

    python -m tests.helpers.golden

writes `tests/golden/digits.json` anew. Do so after a change that is meant to
change what is computed, and say in the commit what changed it.

It is in float64: in float32, another number of threads moves terms by up to
1e-3 within 20 steps. The networks are narrow, for it to take seconds. The
learning rate stays at its first value, as it nearly does in the first 5 of the
1,000 steps.
"""

import json
import pathlib
import tempfile

from keras_csc_cli import train
from keras_csc_cli import train_options

PATH = pathlib.Path(__file__).parents[1] / "golden" / "digits.json"
# What the clock says.
TIMES = {"images_per_second", "input_wait", "time"}


def flags(folder):
    """The flags of the run in a folder."""
    return [
        "--flagfile=digits.flags",
        "--dtype_policy=float64",
        "--architecture=filters=8,16",
        "--schedule=constant",
        "--steps=5",
        "--log_every=5",
        "--evaluation_limit=100",
        "--metrics=",
        f"--workdir={folder}",
    ]


def logged(folder):
    """Trains; returns what is logged at the end, but for times, as a dict."""
    train.train(train_options.parse(flags(folder)))
    record = json.loads((pathlib.Path(folder) / "log.jsonl").read_text())
    return {k: value for k, value in record.items() if k not in TIMES}


def main():
    with tempfile.TemporaryDirectory() as folder:
        record = logged(f"{folder}/run")
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(json.dumps(record, indent=1) + "\n")
    print(f"Written: {PATH}")


if __name__ == "__main__":
    main()
