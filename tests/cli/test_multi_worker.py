"""Several worker processes train as one process does, and stop together."""

import json
import os
import pathlib
import subprocess
import sys

from keras_csc_cli import devices
from keras_csc_cli import local_workers as workers
from keras_csc_cli import train
from keras_csc_cli import train_options
from keras_csc_cli.command_line import UsageError

import numpy as np
import pytest

from keras_csc.models import ClosedLoopAutoencoder

ROOT = pathlib.Path(train.__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
FLAGS = [
    "--dataset=digits",
    "--preset=digits",
    "--architecture=filters=4,feature_dim=8,iterations=2",
    "--batch_size=32",
    "--steps=6",
    "--log_every=2",
    "--save_every=3",
    "--game=class_features=3,memory=0.75",
    # In float32 a code that appears by rounding takes two runs apart.
    "--dtype_policy=float64",
    "--evaluation_limit=60",
    "--metrics=",
]


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """The folder of what the pairs of workers left."""
    folder = tmp_path_factory.mktemp("workers")
    script = ROOT / "tests" / "helpers" / "worker_processes.py"
    subprocess.run(
        [sys.executable, script, folder, *FLAGS], env=ENVIRONMENT, check=True
    )
    return folder


def test_what_differs_between_workers_is_found(left):
    """Also if it is by 1 of many."""
    for index in range(2):
        found = json.loads((left / f"differing-{index}.json").read_text())
        assert found == ["step"]


def test_a_worker_that_is_gone_is_named(left):
    codes = [(left / f"killed-{i}.code").read_text() for i in range(2)]
    assert codes == [str(devices.WorkerLost.exit_code), "-9"]
    message = (left / "killed-0.err").read_text()
    assert "train.py: another worker has ended" in message
    assert "Traceback" not in message


def test_run_goes_on_exactly_and_only_the_chief_writes(left, tmp_path):
    """What was killed is finished; as one process does it."""
    codes = [(left / f"finished-{i}.code").read_text() for i in range(2)]
    assert codes == ["0", "0"]
    said, silent = [(left / f"finished-{i}.err").read_text() for i in range(2)]
    assert "Going on from step 3" in said and not silent
    records = (left / "run" / "log.jsonl").read_text().splitlines()
    assert json.loads(records[-1])["step"] == 6
    train.train(train_options.parse([*FLAGS, f"--workdir={tmp_path}"]))
    alone, several = [
        ClosedLoopAutoencoder.from_preset(folder / "model")
        for folder in (tmp_path, left / "run")
    ]
    for one, other in zip(alone.weights, several.weights):
        np.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "name, message",
    [
        ("log_every", "different options .*log_every is 2"),
        ("dtype_policy", "is float64.* name a --dtype_policy: auto differs"),
        ("images", "different training images .*1330"),
        ("step", "different checkpoints .*step is 0"),
        ("data_dir", None),
    ],
)
def test_workers_that_differ_do_not_start(
    tmp_path, monkeypatch, eager, name, message
):
    def differing(strategy, values):
        return [each for each in values if each == name]

    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(devices, "differing", differing)
    monkeypatch.setattr(train.data, "cached", stop)
    error = UsageError if message else KeyboardInterrupt
    with pytest.raises(error, match=message):
        train.train(train_options.parse([*FLAGS, f"--workdir={tmp_path}"]))


def test_a_mistake_is_that_of_every_worker():
    script = ROOT / "training" / "local_workers.py"
    result = subprocess.run(
        [sys.executable, script, "--workers=2", "--", "--step=3"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2
    lines = sorted(result.stderr.splitlines())
    assert len(lines) == 2
    assert "'step'" in lines[0] and lines[1] == f"worker 1: {lines[0]}"


def test_lines_of_workers_may_be_no_text(tmp_path, monkeypatch, capfd):
    script = tmp_path / "worker"
    script.write_text("#!/bin/sh\nprintf 'a\\377\\nb\\n' >&2\nexit 3\n")
    script.chmod(0o755)
    monkeypatch.setattr(workers.sys, "executable", str(script))
    assert workers.wait(workers.start(1, [])) == 3
    assert capfd.readouterr().err == "a\\xff\nb\n"


def tf_config(cluster, kind="worker", index=0):
    task = {"type": kind, "index": index}
    return json.dumps({"cluster": cluster, "task": task})


@pytest.mark.parametrize(
    "config",
    [
        "",
        "{",
        "[]",
        "[" * 100_000,
        tf_config({"worker": ["a:1"]}, index=float("inf")),
        tf_config({"ps": ["a:1"]}, "ps"),
        tf_config({"worker": "host:1"}),
        tf_config({"worker": [1]}),
        tf_config({"worker": ["a:1", "a:1"]}),
        tf_config({"worker": ["a"]}),
        tf_config([["worker"]]),
    ],
)
def test_wrong_tf_config_is_named(monkeypatch, config):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(UsageError, match="needs the environment variable"):
        devices.make("multi_worker")


def test_worker_0_is_the_chief(monkeypatch):
    cluster = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
    for *task, expected in (
        ("chief", 0, 0),
        ("worker", 0, 1),
        ("worker", 1, 2),
    ):
        monkeypatch.setenv("TF_CONFIG", tf_config(cluster, *task))
        assert devices.worker_index("multi_worker") == expected
    assert devices.worker_index("mirrored") == 0
