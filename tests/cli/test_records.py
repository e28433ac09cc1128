"""What records say: JSON, sessions, the commit, the command, a card."""

import json
import re
import subprocess

from keras_csc_cli import records

import pytest

SESSIONS = ("1", "{}", '{"seconds": 1.0, "training_images": 5}')


@pytest.mark.parametrize(
    "text",
    ["[]", "{}", '{"sessions": {}}', "["]
    + [f'{{"sessions": [{each}]}}' for each in SESSIONS],
)
def test_a_record_of_another_kind_is_named(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(ValueError, match="run.json is damaged: .*Remove it"):
        records.sessions(tmp_path / "run.json")


def test_a_run_that_began_anew_goes_on_with_the_images_of_then(tmp_path):
    """Its first session left no checkpoint, and was of other images."""
    first, images = [
        {"images": count, "classes": None, "digest": ""} for count in (1, 2)
    ]
    recorded = [{"seconds": 1.0, "training_images": e} for e in (first, images)]
    path = tmp_path / "run.json"
    path.write_text(json.dumps({"sessions": recorded}))
    for known in (images, {**images, "bytes": 5}):
        records.check_images(path, known)
    with pytest.raises(ValueError, match="are not those"):
        records.check_images(path, first)


def repository(folder, *names):
    """A repository in which files of these names are."""
    (folder / "code.py").write_text("")
    (folder / "results.json").write_text("")
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    for command in (["init"], ["add", *names], ["commit", "--message=first"]):
        subprocess.run(
            ["git", *identity, *command],
            cwd=folder,
            check=True,
            capture_output=True,
        )


def test_commit_is_dirty_by_changes_of_code_alone(tmp_path, monkeypatch):
    assert records.commit(tmp_path) is None  # no repository
    repository(tmp_path, ".")
    clean = records.commit(tmp_path)
    assert re.fullmatch("[0-9a-f]{12}", clean)
    (tmp_path / "results.json").write_text("[]")
    assert records.commit(tmp_path) == clean
    (tmp_path / "mine.flags").write_text("--steps=3")
    assert records.commit(tmp_path) == f"{clean}-dirty"
    installed = tmp_path / "venv"
    installed.mkdir()
    assert records.commit(installed) is None  # below a repository
    assert "commit" in records.identification()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert records.commit(tmp_path) is None  # no git


def test_cards_are_without_paths():
    recipe = {
        "data_dir": "/home/me/data",
        "workdir": "y",
        "preset": "/home/me/model",
        "steps": 3,
    }
    session = {"command": "python /home/me/train.py", "seconds": 2.0}
    card = {"training": {"sessions": [session]}, "recipe": recipe}
    assert records.without_paths(card) == {
        "training": {"sessions": [{"seconds": 2.0}]},
        "recipe": {"preset": "model", "steps": 3},
    }
