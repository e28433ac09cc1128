"""What SIGTERM and Ctrl-C do, and a second process in a run's folder."""

import contextlib
import errno
import os
import re
import signal
import sys

from keras_csc_cli import command_line
from keras_csc_cli import console
from keras_csc_cli import interruption
from keras_csc_cli import train

import pytest
import tensorflow as tf

from tests.helpers import runs
from tests.helpers.exporting import run_python

pytestmark = pytest.mark.usefixtures("eager")


@pytest.fixture
def script(monkeypatch, capsys, tmp_path):
    """Returns a function that does as the script, on `tmp_path / "run"`.

    It returns the exit code and the lines on standard error.
    """
    monkeypatch.setattr(sys, "argv", ["train.py"])
    flags = [*runs.SMALL, "--steps=2", "--dtype_policy=float32"]

    def run(*arguments):
        options = runs.options(flags, tmp_path / "run", *arguments)
        with pytest.raises(SystemExit) as exit_code:
            command_line.run(
                lambda: train.train(options), console.user_errors()
            )
        return exit_code.value.code or 0, capsys.readouterr().err.splitlines()

    return run


def interrupt(monkeypatch, module, name, number):
    """Sends a signal to this process in a call of a function."""
    function = getattr(module, name)

    def interrupted(*arguments, **kwargs):
        os.kill(os.getpid(), number)
        return function(*arguments, **kwargs)

    monkeypatch.setattr(module, name, interrupted)


@pytest.mark.parametrize(
    "module, name", [(train.data, "cached"), (train.results, "evaluate")]
)
def test_signal_outside_of_the_loop(
    script, monkeypatch, tmp_path, module, name
):
    interrupt(monkeypatch, module, name, signal.SIGINT)
    code, lines = script()
    assert code == 130
    assert lines[-1] == (
        "SIGINT: stopped. Run the same command again to go on."
    )
    assert not any("Traceback" in line for line in lines)
    saved = (tmp_path / "run" / "model").exists()
    assert saved == (name == "evaluate")


def test_under_nohup_a_run_goes_on():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    interruption.install()
    os.kill(os.getpid(), signal.SIGHUP)
    assert not interruption.received


def test_signal_in_the_loop_is_answered_at_once(capfd):
    interruption.install()
    with interruption.held() as received:
        os.kill(os.getpid(), signal.SIGINT)
        assert capfd.readouterr().err == "SIGINT: stopping after this step.\n"
        assert received == [signal.SIGINT]


def test_what_can_not_be_saved_after_a_signal_is_said(
    script, after_step, tmp_path, monkeypatch
):
    """It is none of the signal's doing, and the run is not saved."""

    def no_space(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(train.callbacks.checkpoints, "_checkpoint", no_space)
    after_step(1, lambda _: os.kill(os.getpid(), signal.SIGTERM), last=True)
    code, lines = script()
    assert code == 2 and "SIGTERM" not in lines[-1]
    assert re.search("step-00000002 can't be written: .*No space", lines[-1])
    assert not list((tmp_path / "run").glob("checkpoints/*"))


def test_signal_that_is_swallowed_is_obeyed_at_the_next_step(
    script, monkeypatch, tmp_path
):
    """As Python does in `__del__`, and TensorFlow in callbacks from C++."""
    restore = train.callbacks.TrainingCheckpoint.restore

    def swallow(self, model):
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        return restore(self, model)

    monkeypatch.setattr(train.callbacks.TrainingCheckpoint, "restore", swallow)
    code, lines = script()
    assert code == 143
    assert lines == ["SIGTERM: stopped. Run the same command again to go on."]
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_what_fails_after_a_signal_is_the_signals_doing(script, monkeypatch):
    """TensorFlow makes errors of its own of exceptions in its callbacks."""

    def cached(*arguments):
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            raise tf.errors.UnknownError(None, None, "KeyboardInterrupt")

    monkeypatch.setattr(train.data, "cached", cached)
    assert script() == (
        130,
        ["SIGINT: stopped. Run the same command again to go on."],
    )


def test_signal_after_the_last_step_is_obeyed(script, monkeypatch, tmp_path):
    save = train.callbacks.TrainingCheckpoint.on_train_end

    def interrupted(self, logs=None):
        os.kill(os.getpid(), signal.SIGTERM)
        save(self, logs)

    monkeypatch.setattr(
        train.callbacks.TrainingCheckpoint, "on_train_end", interrupted
    )
    code, lines = script()
    assert code == 143 and "stopped at step 2, which is saved" in lines[-1]
    assert not (tmp_path / "run" / "model").exists()


DELETED = """
import os, signal
from keras_csc_cli import interruption

class Deleted:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        sum(range(100))

interruption.install(starting={starting})
Deleted()
print("went on")
"""


@pytest.mark.parametrize("starting", [True, False])
def test_signal_while_an_object_is_deleted(starting):
    finished = run_python(["-c", DELETED.format(starting=starting)])
    assert finished.returncode == 143
    assert finished.stdout == ""
    assert finished.stderr == (
        "SIGTERM: stopped. Run the same command again to go on.\n"
    )
