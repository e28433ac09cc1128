"""Two writers of one file, and the names that they write under."""

import re

from keras_csc_cli.workdir import PARTIAL

import pytest

from keras_csc.files import new_folder
from keras_csc.files import replacing


def test_the_last_of_two_writers_leaves_its_file_whole(tmp_path):
    path = tmp_path / "page.html"
    with replacing(path) as ours, open(ours, "w") as file:
        file.write("a")
        with replacing(path) as theirs:
            theirs.write_text("bb")
        assert path.read_text() == "bb"
        file.write("a")
    assert path.read_text() == "aa"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", [f"{125 * 'ä'}.png", f"{255 * '_'}"])
def test_a_name_may_be_as_long_as_that_of_any_file(tmp_path, name):
    path = tmp_path / name
    with replacing(path) as temporary:
        assert temporary.name.endswith(path.suffix)
        temporary.write_text("a")
    assert path.read_text() == "a"
    path.unlink()
    with new_folder(path) as temporary:
        assert temporary.is_dir()
    assert list(tmp_path.iterdir()) == [path]


def test_short_names_are_whole_in_temporary_ones(tmp_path):
    with replacing(tmp_path / "atoms_1.png") as temporary:
        temporary.touch()
        assert re.fullmatch(rf"\.atoms_1{PARTIAL}\.png", temporary.name)
    with new_folder(tmp_path / ".model-new") as temporary:
        assert re.fullmatch(r"\.\.model-new-\w{8}", temporary.name)
