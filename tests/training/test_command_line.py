"""What a user sees of a mistake at the command line."""

import pathlib

from training import command_line
from training import options as run_options
from training.command_line import UsageError

import pytest
from absl import flags

from keras_csc.models import presets

FLAG_FILES = sorted(command_line.FLAG_FILES.glob("*.flags"))


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--flagfile=nope.flags"], "there is no flag file 'nope.flags'"),
        (["--flagfile=digits.flags", "--step=3"], "step"),
        (["--flagfile=digits.flags", "--preset=digit"], "Did you mean"),
    ],
)
def test_mistake_is_one_line_and_exit_code_2(
    run_script, arguments, message, tmp_path
):
    result = run_script("train.py", f"--workdir={tmp_path}/run", *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert result.stderr.startswith("train.py: ")


def test_other_mistakes_on_the_command_line(capsys, monkeypatch):
    defined = flags.FlagValues()
    run_options.define(defined)
    monkeypatch.setattr(flags, "FLAGS", defined)
    for arguments, message in (
        (["--objective=ternary"], "ternary"),
        (["more"], "unexpected argument 'more'"),
    ):
        with pytest.raises(SystemExit) as exit_code:
            command_line._parse(["train.py", *arguments])
        assert exit_code.value.code == 2
        assert message in capsys.readouterr().err


def test_help_lists_the_flags(run_script):
    result = run_script("train.py", "--help")
    for name in ("--dataset", "--preset", "--steps", "--[no]cooperation"):
        assert name in result.stdout


def test_evaluate_without_a_run(run_script, tmp_path):
    result = run_script("evaluate.py", f"--workdir={tmp_path}/none")
    assert result.returncode == 2
    assert "there is no working directory" in result.stderr


@pytest.mark.parametrize("path", FLAG_FILES, ids=lambda path: path.stem)
def test_every_flag_file_is_complete(path):
    options = run_options.parse([f"--flagfile={path}"])
    assert options.dataset and options.preset and options.steps
    assert options.preset in presets.PRESETS
    config = presets.config(options.preset)
    assert config["image_shape"][2] in (1, 3)


def test_flag_files_cover_the_presets():
    assert {path.stem for path in FLAG_FILES} == set(presets.names())


def test_bare_flag_file_is_found(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    resolved = command_line.resolve_flag_files(
        ["train.py", "--flagfile=digits.flags", "--flagfile", "mnist.flags"]
    )
    assert pathlib.Path(resolved[1].partition("=")[2]).is_file()
    assert pathlib.Path(resolved[3]).is_file()


def test_flag_file_of_the_user_comes_first(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits.flags").write_text("--steps=3\n")
    resolved = command_line.resolve_flag_files(["", "--flagfile=digits.flags"])
    assert resolved[1] == "--flagfile=digits.flags"


def test_unknown_flag_file_is_an_error():
    with pytest.raises(UsageError, match="digits.flags"):
        command_line.resolve_flag_files(["", "--flagfile=nope.flags"])


def test_name_of_the_flag_file_names_the_run():
    assert command_line.flag_file_name(["", "--flagfile=a/b.flags"]) == "b"
    assert command_line.flag_file_name(["", "--flagfile", "c.flags"]) == "c"
    assert command_line.flag_file_name(["", "--steps=3"]) is None
