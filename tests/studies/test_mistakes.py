"""What the scripts of the studies say of a mistake, and leave behind."""

import sys
import types

from keras_csc_cli.command_line import UsageError
from keras_csc_cli.records import write_json

import pytest

from studies import densities
from studies import photographs
from studies import run as running


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Returns a function that runs a script in the place of `measure.py`."""
    monkeypatch.setattr(running, "HERE", tmp_path)
    run = types.SimpleNamespace(key="tiny", more=())

    def measure(script):
        (tmp_path / "measure.py").write_text(script)
        running.work(run, tmp_path / "runs", "DATA")

    return measure


def test_a_run_that_fails_ends_the_study(measured):
    measured("")
    with pytest.raises(SystemExit) as exit_code:
        measured("raise SystemExit(2)")
    assert exit_code.value.code == 2
    with pytest.raises(UsageError, match="tiny.* was ended by signal 9"):
        measured("import os; os.kill(os.getpid(), 9)")


def test_a_folder_without_photographs_is_named(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(UsageError, match=f"{folder} has no photographs"):
            photographs.photographs(folder)


def test_who_reads_a_page_has_it_whole_while_it_is_written(
    tmp_path, monkeypatch
):
    page = tmp_path / "page.md"
    page.write_text("before")
    write_json(tmp_path / "rows.json", [])
    monkeypatch.setattr(photographs, "PAGE", page)
    monkeypatch.setattr(photographs, "TABLE", tmp_path / "rows.json")
    monkeypatch.setattr(photographs, "draw", lambda: None)
    monkeypatch.setattr(photographs, "photographs", lambda folder: {})
    with open(page) as reader:
        photographs.write_page(tmp_path, {"held_out": {}, "shipped": {}})
        assert reader.read() == "before"
    assert page.read_text().startswith("# Whole photographs")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--saved_model=none", "--dataset=digits"], "none"),
        (["--saved_model=digits", "--dataset=digits", "--strange=x"], "x"),
    ],
)
def test_densities_of_what_is_not_there(
    monkeypatch, capsys, arguments, message
):
    if "--saved_model=none" not in arguments:
        opened = {}, (16, 16, 1)
        monkeypatch.setattr(densities, "saved_model", lambda path: opened)
    monkeypatch.setattr(sys, "argv", ["densities.py", *arguments])
    with pytest.raises(SystemExit) as exit_code:
        densities.main()
    assert exit_code.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
