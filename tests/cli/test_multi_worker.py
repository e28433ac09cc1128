"""Several worker processes train as one process does, and stop together."""

import json
import os
import pathlib
import subprocess
import sys

from keras_csc_cli import local_workers as workers
from keras_csc_cli import strategies
from keras_csc_cli import train
from keras_csc_cli import train_options
from keras_csc_cli.command_line import UsageError

import numpy as np
import pytest
import tensorflow as tf

from keras_csc.models import ClosedLoopAutoencoder
from tests.helpers import parity
from tests.helpers.reference_loop import relative_difference
from tests.helpers.waiting import Working

ROOT = pathlib.Path(train.__file__).parents[1]
FLAGS = [
    "--dataset=digits",
    "--preset=digits",
    "--architecture=filters=4,feature_dim=8,iterations=2",
    "--batch_size=32",
    "--steps=6",
    "--log_every=2",
    "--save_every=3",
    "--game=decoder_consistency=5",
    # In float32 a code that appears by rounding takes two runs apart.
    "--dtype_policy=float64",
    "--evaluation_limit=60",
    "--noevaluate",
]
MARKS = {"workers": (), "thorough": pytest.mark.thorough}
WORKERS = [
    pytest.param(kind, count, name, marks=marks)
    for kind, marks in MARKS.items()
    for count in parity.COUNTS
    for name in parity.cases(kind, count)
]


@pytest.fixture(scope="module")
def left(tmp_path_factory, thorough):
    """Returns a function of the name of a file, which waits for it.

    One process, `worker_processes.py`, has all workers, one group after the
    other: a test waits for what its own leave.
    """
    folder = tmp_path_factory.mktemp("workers")
    script = ROOT / "tests" / "helpers" / "worker_processes.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    kinds = ",".join(MARKS) if thorough else "workers"
    working = Working(
        [sys.executable, script, folder, kinds, *FLAGS], folder, env=environment
    )

    yield working.left
    working.close()


def code(left, name):
    return int(left(f"{name}.code").read_text())


def errors(left, name):
    return left(f"{name}.err").read_text()


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The model that one process trains."""
    workdir = tmp_path_factory.mktemp("alone")
    train.train(train_options.parse([*FLAGS, f"--workdir={workdir}"]))
    return ClosedLoopAutoencoder.from_preset(workdir / "model")


def check_finished(run, alone):
    records = (run / "log.jsonl").read_text().splitlines()
    assert json.loads(records[-1])["step"] == 6
    found = ClosedLoopAutoencoder.from_preset(run / "model")
    for one, several in zip(alone.weights, found.weights):
        np.testing.assert_allclose(
            several.numpy(), one.numpy(), rtol=1e-4, atol=1e-5
        )


def local_workers(*arguments):
    """Runs the script for two workers."""
    script = ROOT / "training" / "local_workers.py"
    return subprocess.run(
        [sys.executable, script, "--workers=2", "--", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=120,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("kind, count, name", WORKERS)
def test_workers_train_as_one_process(left, kind, count, name):
    case, dtype = parity.cases(kind, count)[name]
    alone = tf.distribute.get_strategy()
    expected, metrics, *_ = parity.train(case, dtype, alone)
    tolerance = parity.TOLERANCE[dtype]
    for index in range(count):
        path = left(f"{name}-{count}-{index}.json")
        with np.load(path.with_suffix(".npz")) as arrays:
            weights = list(arrays.values())
        assert relative_difference(weights, expected) < tolerance
        found, counted, stated = json.loads(path.read_text())
        assert found == pytest.approx(metrics, rel=parity.METRIC_TOLERANCE)
        assert counted == stated


@pytest.mark.parametrize(
    "count",
    [count for count in parity.COUNTS if parity.cases("workers", count)],
)
def test_what_differs_between_workers_is_found(left, count):
    """Also if it is the last one's alone, and by 1."""
    for index in range(count):
        path = left(f"differing-{count}-{index}.json")
        assert json.loads(path.read_text()) == ["step"]


@pytest.mark.parametrize(
    "name, message",
    [
        ("log_every", "different options .*log_every is 2"),
        ("cache_mib", "different options .*cache_mib is 4096"),
        ("dtype_policy", "is float64.* name a --dtype_policy: auto differs"),
        ("images", "different training images .*1330 images of 10 classes"),
        ("step", "different checkpoints .*of step 0"),
        ("data_dir", None),
        ("save_every", None),
    ],
)
def test_workers_that_differ_do_not_start(tmp_path, monkeypatch, name, message):
    def differing(strategy, values):
        return [each for each in values if each == name]

    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(strategies, "differing", differing)
    monkeypatch.setattr(train.data, "cached", stop)
    error = UsageError if message else KeyboardInterrupt
    with pytest.raises(error, match=message):
        train.train(train_options.parse([*FLAGS, f"--workdir={tmp_path}"]))


def test_all_stop_when_one_is_told_to(left):
    """SIGTERM to worker 1 in step 2: both stop after the next one."""
    assert code(left, "stopped-0") == 143
    assert code(left, "stopped-1") == 143
    for worker in ("stopped-0", "stopped-1"):
        assert "SIGTERM: stopped at step 3" in errors(left, worker)


def test_a_worker_that_is_gone_is_named(left):
    assert code(left, "killed-1") == -9
    assert code(left, "killed-0") == strategies.WorkerLost.exit_code
    message = errors(left, "killed-0")
    assert "Going on from step 3" in message
    assert "train.py: another worker has ended" in message
    assert "Traceback" not in message


def test_run_goes_on_exactly_and_only_the_chief_writes(left, alone):
    """What was stopped, then killed, is finished; as one process does it."""
    assert code(left, "finished-0") == code(left, "finished-1") == 0
    assert "Going on from step 3" in errors(left, "finished-0")
    assert not errors(left, "finished-1")
    check_finished(left("finished-0.code").with_name("run"), alone)


@pytest.mark.thorough
def test_one_command_trains_with_all_workers(alone, tmp_path):
    result = local_workers(*FLAGS, f"--workdir={tmp_path}")
    assert result.returncode == 0, result.stderr
    assert "worker 1:" not in result.stderr
    check_finished(tmp_path, alone)


def test_a_mistake_is_that_of_every_worker():
    result = local_workers("--step=3")
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


@pytest.mark.parametrize(
    "config",
    [
        None,
        "{",
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker"}}',
        '{"cluster": {"worker": ["a:1"]}, '
        '"task": {"type": "worker", "index": 1}}',
        '{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
    ],
)
def test_wrong_tf_config_is_named(monkeypatch, config):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if config:
        monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(UsageError, match="needs the environment variable"):
        strategies.make("multi_worker")


def test_worker_0_is_the_chief(monkeypatch):
    cluster = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
    for task, index, expected in (
        ("chief", 0, 0),
        ("worker", 0, 1),
        ("worker", 1, 2),
    ):
        config = {"cluster": cluster, "task": {"type": task, "index": index}}
        monkeypatch.setenv("TF_CONFIG", json.dumps(config))
        assert strategies.worker_index("multi_worker") == expected
    assert strategies.worker_index("mirrored") == 0
