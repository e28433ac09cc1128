"""What all rooms stand on: checks of values, pixels, files, the terminal."""

import fcntl
import inspect
import io
import os
import re
import select
import struct
import termios

from keras_csc_cli.workdir import PARTIAL

import numpy as np
import pytest

from keras_csc import quiet
from keras_csc import terminal
from keras_csc import validation
from keras_csc.data.images import normalize
from keras_csc.evaluation import passes
from keras_csc.files import new_folder
from keras_csc.files import replacing
from keras_csc.layers import ConvSparseCoding2D
from keras_csc.losses import TranscriptionGame
from keras_csc.pixels import from_pixels
from keras_csc.pixels import to_pixels
from keras_csc.terminal import LiveLine
from keras_csc.terminal import Progress
from keras_csc.terminal import duration
from keras_csc.terminal import say

# === Values ===

NO_NUMBERS = [float("inf"), np.float32("nan"), "1", None, [1.0], True, 1j]


SMALL, HUGE = np.float32(0.9), 10**400
LISTS = [[], [0], "34", [3, "4"], [3, None], [10**30]]


@pytest.mark.parametrize(
    "check, limits, taken, refused",
    [
        ("number", ["[0, 1)"], [0, SMALL], [*NO_NUMBERS, -1e-9, 1, 2]),
        ("number", ["(0, inf)"], [1e-30, HUGE], [*NO_NUMBERS, 0, -HUGE]),
        ("integer", [1, 3], [1, np.int64(3)], [*NO_NUMBERS, 0, 4, 1.0, 2.5]),
        ("integers", [1], [[3], (3, 4)], [*NO_NUMBERS, *LISTS]),
        ("integers", [1, 9, 2], [(3, 4)], [(3, 4, 5), (3,), (3, 10)]),
        ("bool", [], [False, np.True_], [0, 1, "no", None]),
        ("choice", [("a", "b")], ["a"], ["c", None, "x" * 10_000]),
    ],
)
def test_values_are_taken_or_named(check, limits, taken, refused):
    """In a short sentence, whatever they are."""
    check = getattr(validation, f"check_{check}")
    for value in taken:
        check(*limits, rate=value)
    for value in refused:
        with pytest.raises(ValueError, match="`rate` must be .*Re") as error:
            check(*limits, rate=value)
        assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    "maker, needed",
    [
        (ConvSparseCoding2D, {"filters": 4, "kernel_size": 4, "strides": 2}),
        (TranscriptionGame, {}),
    ],
)
def test_no_argument_is_nan_or_infinite(maker, needed):
    parameters = inspect.signature(maker).parameters
    found = [
        n for n, p in parameters.items() if type(p.default) in (int, float)
    ]
    assert len(found) > 2
    for name in (*found, *needed):
        for value in (np.nan, np.inf):
            with pytest.raises(ValueError, match=name):
                maker(**{**needed, name: value})


# === Pixels ===


def test_every_pixel_comes_back():
    """As of the pipeline; what lies beyond is cut off."""
    every = np.arange(256, dtype="uint8")
    images = from_pixels(every)
    assert images.dtype == "float32"
    assert (images[0], images[-1]) == (-1, 1)
    np.testing.assert_allclose(images, normalize(every), atol=1e-7)
    np.testing.assert_array_equal(to_pixels(images), every)
    np.testing.assert_array_equal(to_pixels([-3.0, 3.0]), [0, 255])


def test_pixels_are_uint8():
    pixels = np.array([[0, 51, 255]], "uint8")
    floats = passes.as_floats(pixels)
    np.testing.assert_allclose(floats, [[-1, -0.6, 1]], atol=1e-6)
    np.testing.assert_array_equal(passes.as_floats(floats), floats)
    with pytest.raises(ValueError, match="must be uint8.*of int64"):
        passes.as_floats(pixels.astype("int64"))
    with pytest.raises(ValueError, match="must be uint8.*of float32"):
        from_pixels(floats)


# === Files ===


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
        assert re.fullmatch(r"\.\.model-new-\w{8}\.partial", temporary.name)


# === Lines on a terminal, in a pipe, and where nobody can read; noise ===

PARTS = ["step 3/9", "12 s left", "1,024 images/s", "PSNR 23.1 dB"]


class Terminal:
    """A pseudo-terminal of 80 columns."""

    def __init__(self):
        self.other, end = os.openpty()
        self.stream = open(end, "w")
        self.resize(80)

    def resize(self, columns):
        size = struct.pack("HHHH", 24, columns, 0, 0)
        fcntl.ioctl(self.stream.fileno(), termios.TIOCSWINSZ, size)

    def read(self):
        text = b""
        while select.select([self.other], [], [], 0)[0]:
            text += os.read(self.other, 10_000)
        return text.decode().replace("\r\n", "\n")


def test_line_fits_the_terminal_whatever_its_width_becomes():
    screen = Terminal()
    line = LiveLine(screen.stream)
    for columns in (80, 20, 2, 200):
        screen.resize(columns)
        line.show(PARTS)
        text = screen.read()
        assert text.startswith("\r") and "\n" not in text
        # A shorter line leaves nothing of a longer one.
        assert len(text) - 1 == columns - 1
        shown = text.strip().split("  ")
        assert shown == PARTS[: len(shown)] or columns < len(PARTS[0])


def test_what_comes_after_a_line_is_on_its_own():
    screen = Terminal()
    line = LiveLine(screen.stream)
    line.show(PARTS)
    terminal.end_lines()
    screen.stream.write("SIGINT: stopped.\n")
    terminal.end_lines()
    screen.stream.flush()
    before, message, rest = screen.read().split("\n")
    assert before.strip() == "  ".join(PARTS)
    assert (message, rest) == ("SIGINT: stopped.", "")
    line.show(PARTS, last=True)
    line.end()
    assert screen.read().count("\n") == 1


def test_elsewhere_lines_are_plain_and_few():
    stream = io.StringIO()
    line = LiveLine(stream, seconds=3600)
    for _ in range(5):
        line.show(PARTS)
    line.show(["the end"], last=True)
    line.end()
    assert stream.getvalue() == "  ".join(PARTS) + "\nthe end\n"


def test_nobody_who_reads_is_no_error(monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr("sys.stderr", None)
    full = open("/dev/full", "w")
    for stream in (open(writer, "w"), closed, full, None):
        line = LiveLine(stream, seconds=0)
        line.show(PARTS)
        line.show(PARTS, last=True)
        line.end()
        monkeypatch.setattr("sys.stderr", stream)
        say("a word")
    with pytest.raises(OSError):
        full.close()


def test_durations():
    assert duration(0.4) == "0 s"
    assert duration(59.6) == "1 min 0 s"
    assert duration(11529) == "3 h 12 min"
    assert duration(416530) == "4 d 19 h"


def test_long_work_shows_plain_lines_and_its_end(capsys):
    for patience in (3600.0, 0.0):  # Short work shows nothing.
        assert capsys.readouterr().err == ""
        progress = Progress("loading", 10, patience=patience)
        for done in range(1, 11):
            progress.update(done)
    lines = capsys.readouterr().err.splitlines(keepends=True)
    assert lines[0].startswith("loading: 1/10  ")
    assert lines[-1].startswith("loading: 10/10  0 s left  ")
    for line in lines:
        assert line.endswith("/s\n") and "\r" not in line
    Progress("restoring", 100, patience=0.0).update(0)  # of no known rate
    assert capsys.readouterr().err == "restoring: 0/100\n"


CUDA = "E0000 cuda_platform.cc:52] failed call to cuInit: ..."


@pytest.mark.parametrize("gpu", [False, True])
def test_what_is_no_noise_is_printed(monkeypatch, capfd, gpu):
    monkeypatch.setattr(quiet, "has_gpu", lambda: gpu)
    noise = "I0000 port.cc:153] oneDNN custom operations are on."
    said = ["W0000 gpu_device.cc:9] Cannot dlopen some GPU libraries.", noise]
    with pytest.raises(ImportError), quiet.without_noise():
        os.write(2, "\n".join([*said, CUDA, "the end"]).encode())
        raise ImportError
    expected = [said[0], *[CUDA] * gpu, "the end"]
    assert capfd.readouterr().err.splitlines() == expected


def test_without_a_folder_for_temporary_files_nothing_is_lost(
    monkeypatch, capfd
):
    def refuse():
        raise OSError

    monkeypatch.setattr(quiet.tempfile, "TemporaryFile", refuse)
    with quiet.without_noise():
        os.write(2, CUDA.encode())
    assert capfd.readouterr().err == CUDA
