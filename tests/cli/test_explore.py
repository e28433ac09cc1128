import os
import pathlib
import socket
import types

from keras_csc_cli import building
from keras_csc_cli import command_line
from keras_csc_cli import explore
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.options import EXPLORE
from keras_csc_cli.options import RESTORE

import numpy as np
import pytest
from PIL import Image

from keras_csc import data
from keras_csc import explorer
from tests.helpers import runs


def test_the_first_argument_needs_no_name():
    given = ["runs/mine", "--port=8000"]
    assert command_line.named(EXPLORE, given) == [
        "--preset=runs/mine",
        "--port=8000",
    ]
    for same in (["--port=8000"], []):
        assert command_line.named(EXPLORE, same) == same
    assert command_line.named(RESTORE, given) == given


def test_a_port_that_is_taken_is_told():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(UsageError, match=f"--port={port} can't be used"):
            explore.check_port(port)


@pytest.mark.parametrize("given", [False, True])
def test_gradio_writes_to_a_folder_of_its_own(
    monkeypatch, unused_port, tmp_path, given
):
    """Of the process's, that goes with it, or the one that the user gave."""
    folders = []

    def serve(*args):
        folders.append(pathlib.Path(os.environ["GRADIO_TEMP_DIR"]))
        (folders[0] / "upload").touch()
        assert folders[0] == tmp_path or folders[0].stat().st_mode & 0o77 == 0
        raise KeyboardInterrupt

    monkeypatch.delenv("GRADIO_TEMP_DIR", raising=False)
    if given:
        monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    page = types.SimpleNamespace(build=lambda *args: None, serve=serve)
    monkeypatch.setattr(explorer, "page", page, raising=False)
    monkeypatch.setattr(explore, "warm_up", lambda *args: None)
    with pytest.raises(KeyboardInterrupt):
        explore.run("csc_ctrl_digits", port=unused_port)
    assert (folders[0] == tmp_path) == folders[0].exists() == given
    assert ("GRADIO_TEMP_DIR" in os.environ) == given


def test_a_preset_has_its_name_and_others_are_refused(tmp_path):
    model, name, options = explore.opened("csc_ctrl_digits")
    assert name == "csc_ctrl_digits" and options.dataset is None
    assert model.density is not None
    (tmp_path / "flags.json").write_text(
        '{"dataset": "digits", "preset": "digits", "steps": 1}'
    )
    for preset, message in (
        ("no_such_model", "Unknown preset"),
        ("digits", "without trained weights"),
        (tmp_path, "no trained model"),
    ):
        with pytest.raises(UsageError, match=message) as caught:
            explore.opened(preset)
        assert "\n" not in str(caught.value)


def test_the_images_of_a_run_are_cut_as_in_its_training(tmp_path, capsys):
    names = ["train/any/image.png", "test/any/image.png"]
    folder = runs.write_pictures(tmp_path / "images", names, (40, 40))
    pixels = np.asarray(Image.open(folder / names[1]))
    path = runs.untrained(
        tmp_path / "run",
        *("--dataset=image_folder", f"--data_dir={folder}", "--noresize"),
    )
    model, _, recorded = explore.opened(path)

    def images(**given):
        return building.source_of(model, recorded, "test", **given)

    found = images()
    middle = pixels[4:36, 4:36]  # 2×2 crops of 16×16
    cut = middle.reshape(2, 16, 2, 16).swapaxes(1, 2).reshape(4, 16, 16, 1)
    np.testing.assert_array_equal(data.load_arrays(found)[0], cut)
    folder.rename(tmp_path / "moved")
    assert images(dataset=None, data_dir=None) is None
    assert "No such folder" in capsys.readouterr().err
    with pytest.raises(data.DataError, match="No such folder"):
        images(data_dir=str(folder))
    moved = str(tmp_path / "moved")
    assert images(data_dir=moved).size == found.size
