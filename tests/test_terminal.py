"""Progress lines on a terminal, in a pipe, and where nobody can read; noise."""

import fcntl
import io
import os
import select
import struct
import termios

import pytest

from keras_csc import quiet
from keras_csc import terminal
from keras_csc.terminal import LiveLine
from keras_csc.terminal import Progress
from keras_csc.terminal import duration
from keras_csc.terminal import say

PARTS = ["step 3/9", "12 s left", "1,024 images/s", "PSNR 23.1 dB"]


class Terminal:
    """A pseudo-terminal of so many columns."""

    def __init__(self, columns):
        self.other, end = os.openpty()
        self.stream = open(end, "w")
        self.resize(columns)

    def resize(self, columns):
        size = struct.pack("HHHH", 24, columns, 0, 0)
        fcntl.ioctl(self.stream.fileno(), termios.TIOCSWINSZ, size)

    def read(self):
        text = b""
        while select.select([self.other], [], [], 0)[0]:
            text += os.read(self.other, 10_000)
        return text.decode().replace("\r\n", "\n")


def test_line_fits_the_terminal_whatever_its_width_becomes():
    screen = Terminal(80)
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
    screen = Terminal(80)
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
