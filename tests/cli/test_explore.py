import sys

from keras_csc_cli import command_line
from keras_csc_cli import explore
from keras_csc_cli import explore_options
from keras_csc_cli import restore_options
from keras_csc_cli.command_line import UsageError

import pytest


def test_the_first_argument_needs_no_name():
    given = ["runs/mine", "--port=8000"]
    assert command_line.named(explore_options, given) == [
        "--preset=runs/mine",
        "--port=8000",
    ]
    for same in (["--port=8000"], []):
        assert command_line.named(explore_options, same) == same
    assert command_line.named(restore_options, given) == given


def test_without_gradio_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(UsageError, match=r"pip install 'keras-csc\[explore\]'"):
        explore.run("csc_ctrl_digits")


def test_a_preset_has_its_name():
    model, name, options = explore.opened("csc_ctrl_digits")
    assert name == "csc_ctrl_digits" and options is None
    assert model.density is not None


@pytest.mark.parametrize(
    "preset, message",
    [
        ("no_such_model", "Unknown preset"),
        ("digits", "without trained weights"),
    ],
)
def test_other_presets_are_refused(preset, message):
    with pytest.raises(UsageError, match=message) as caught:
        explore.opened(preset)
    assert "\n" not in str(caught.value)


def test_the_folder_of_a_run_without_a_model(tmp_path):
    (tmp_path / "flags.json").write_text(
        '{"dataset": "digits", "preset": "digits", "steps": 1}'
    )
    with pytest.raises(UsageError, match="no trained model"):
        explore.opened(tmp_path)


def test_the_script_ends_with_code_2(run_script):
    finished = run_script("explore.py", "no_such_model", "--nobrowser")
    assert finished.returncode == 2
    assert finished.stderr.splitlines()[-1].startswith("explore.py: ")
    assert "Traceback" not in finished.stderr
    finished = run_script("explore.py", "one", "two")
    assert finished.returncode == 2
    assert "unexpected argument 'two'" in finished.stderr
