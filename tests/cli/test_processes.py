"""Runs as processes: kills, and several workers.

They are forked from one process, which has imported TensorFlow.
"""

import json

from keras_csc_cli import devices
from keras_csc_cli import train
from keras_csc_cli import train_options
from keras_csc_cli.command_line import UsageError

import numpy as np
import pytest

from keras_csc.models import ClosedLoopAutoencoder
from tests.helpers.exporting import ROOT
from tests.helpers.exporting import run_python
from tests.helpers.kills import STEPS


def python(name, *arguments):
    """Runs a module of the helpers."""
    ended = run_python(["-m", f"tests.helpers.{name}", *arguments], cwd=ROOT)
    assert ended.returncode == 0, ended.stdout + ended.stderr


# === Training and export are killed at every moment, and nothing is lost ===


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The folders of a run that was not killed, and of one that was."""
    folder = tmp_path_factory.mktemp("kill") / "stories"
    python("kills", "--rounds=1", "--small", f"--workdir={folder}")
    return [folder / "whole", folder / "round-1"]


def test_kills_end_in_the_same_bits_and_leave_nothing(told):
    whole, killed = [
        json.loads((story / "story.json").read_text()) for story in told
    ]
    assert [len(story["kills"]) for story in (whole, killed)] == [0, 4]
    assert killed["result"] == whole["result"]
    names = set(whole["result"])
    assert {"saved_model", "run/model/model.weights.h5"} < names
    assert f"run/checkpoints/step-{STEPS:08d}/checkpoint.index" in names
    met = [name for kill in killed["kills"] for name in kill["left"]]
    for part in ("run/checkpoints/.step-", "saved_models/run/.1-"):
        assert any(name.startswith(part) for name in met)
    assert killed["unfinished"] == []
    expected = {f"step-{STEPS - step:08d}" for step in (0, 2, 4)}
    checkpoints = (told[1] / "run" / "checkpoints").iterdir()
    assert {path.name for path in checkpoints} == expected


def test_what_is_recorded_of_a_killed_run(told):
    """No interval twice; a kill takes no more than one from either record."""
    steps = []
    for story in told:
        lines = (story / "run" / "log.jsonl").read_text().splitlines()
        steps.append([json.loads(line)["step"] for line in lines])
    assert steps[0] == list(range(2, STEPS + 1, 2))
    assert steps[1] == sorted(set(steps[1]) & set(steps[0]))
    assert len(steps[1]) > len(steps[0]) / 2
    run = json.loads((told[1] / "run" / "run.json").read_text())
    trained = [each["steps"] for each in run["sessions"]]
    assert len(trained) > 1 and sum(trained) >= STEPS - 2 * 3


# === Several workers train as one process does, and stop together ===


FLAGS = [
    "--dataset=digits",
    "--preset=digits",
    "--architecture=filters=4,feature_dim=8",
    "--batch_size=32",
    "--steps=6",
    "--save_every=3",
    "--game=objective=multi,memory=0.75,residual=0",
    # In float32 a code that appears by rounding takes two runs apart.
    "--dtype_policy=float64",
    "--metrics=",
]


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """The folder of what the pairs of workers left."""
    folder = tmp_path_factory.mktemp("workers")
    python("worker_processes", folder, *FLAGS)
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


def test_run_goes_on_exactly_and_only_the_chief_writes(left, tmp_path, eager):
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
        ("dtype_policy", "is float64.* name a --dtype_policy: auto differs"),
        ("images", "differ: here images is .*1330.* their --data_dir"),
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


def tf_config(cluster, kind="worker", index=0):
    task = {"type": kind, "index": index}
    return json.dumps({"cluster": cluster, "task": task})


@pytest.mark.parametrize(
    "config",
    [
        "",
        "[" * 100_000,
        tf_config({"worker": ["a:1"]}, index=float("inf")),
        tf_config({"worker": ["a:1", "a:1"]}),
        tf_config({"worker": ["a:1"]}, index=1),
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


def test_logical_devices_are_of_a_mirrored_strategy():
    with pytest.raises(UsageError, match="--strategy=mirrored"):
        devices.make("none", 2)
