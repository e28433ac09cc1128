"""Writers of the same file at once."""

import subprocess
import sys

from keras_csc import files
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
