"""Writers of the same file at once, and the names that they write under."""

import re
import subprocess
import sys

from keras_csc_cli.workdir import PARTIAL

import pytest

from keras_csc import files
from keras_csc.files import new_folder
from keras_csc.files import replacing

# Without the package, whose import takes longer than the writing.
WRITER = """
import runpy, sys
_, module, path, letter = sys.argv
replacing = runpy.run_path(module)["replacing"]
for _ in range(200):
    with replacing(path) as temporary, open(temporary, "w") as file:
        for _ in range(20):
            file.write(1000 * letter)
            file.flush()
"""


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


def test_who_reads_finds_the_whole_file_of_one_of_two_processes(tmp_path):
    path = tmp_path / "page.html"
    path.write_text(20_000 * "a")
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, files.__file__, path, letter]
        )
        for letter in "ab"
    ]
    while any(writer.poll() is None for writer in writers):
        assert path.read_text() in (20_000 * "a", 20_000 * "b")
    assert [writer.returncode for writer in writers] == [0, 0]
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
