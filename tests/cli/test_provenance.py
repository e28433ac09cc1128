"""What a result says it was made with."""

import pathlib
import re
import subprocess
import sys

from keras_csc_cli import provenance

import pytest


def git(folder, *arguments):
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run(
        ["git", *identity, *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
    )


@pytest.mark.parametrize("below", ["", "venv/lib/site-packages"])
@pytest.mark.parametrize("tracked", [True, False])
def test_commit_is_that_of_our_repository_alone(tmp_path, below, tracked):
    package = tmp_path / below / "keras_csc_cli"
    package.mkdir(parents=True)
    (tmp_path / "notes").write_text("of the user")
    (package / "provenance.py").write_text("")
    git(tmp_path, "init")
    git(tmp_path, "add", "." if tracked else "notes")
    git(tmp_path, "commit", "--message=first")
    found = provenance.commit(tmp_path / below)
    assert (found is not None) == (tracked and not below)
    assert "keras_csc" in provenance.identification()


def test_commit_is_dirty_by_changes_of_code_alone(tmp_path):
    package = tmp_path / "keras_csc_cli"
    package.mkdir()
    for path in (package / "provenance.py", tmp_path / "results.json"):
        path.write_text("")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--message=first")
    (tmp_path / "results.json").write_text("[]")
    clean = provenance.commit(tmp_path)
    assert re.fullmatch("[0-9a-f]{12}", clean)
    (tmp_path / "mine.flags").write_text("--steps=3")
    assert provenance.commit(tmp_path) == f"{clean}-dirty"


def test_a_command_is_as_it_was_typed(tmp_path, monkeypatch):
    """A module, of which Python knows the path, by its name."""
    (tmp_path / "mine").mkdir()
    script = tmp_path / "mine" / "study.py"
    script.write_text(
        "from keras_csc_cli import command_line\nprint(command_line.typed())"
    )
    root = pathlib.Path(provenance.__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", str(root))
    for words in (["-m", "mine.study"], ["mine/study.py"]):
        typed = subprocess.run(
            [sys.executable, *words, "--seeds=1", "a b"],
            cwd=tmp_path,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        assert typed == f"python {' '.join(words)} --seeds=1 'a b'\n"


def test_no_commit_without_a_repository_or_git(tmp_path, monkeypatch):
    assert provenance.commit(tmp_path) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.commit() is None
