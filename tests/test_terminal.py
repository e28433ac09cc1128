"""Progress lines on a terminal, in a pipe, and where nobody can read."""

import fcntl
import io
import os
import select
import struct
import termios

import pytest

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


@pytest.mark.parametrize("columns", [200, 80, 40, 20, 10, 2])
def test_line_fits_the_terminal(columns):
    screen = Terminal(columns)
    LiveLine(screen.stream).show(PARTS)
    text = screen.read()
    assert text.startswith("\r") and "\n" not in text
    assert len(text) - 1 == columns - 1
    shown = text.strip().split("  ")
    assert shown == PARTS[: len(shown)] or columns < len(PARTS[0])


def test_line_follows_the_width_of_the_terminal():
    screen = Terminal(80)
    line = LiveLine(screen.stream)
    for columns in (80, 30, 120):
        screen.resize(columns)
        line.show(PARTS)
        assert len(screen.read()) - 1 == columns - 1


def test_shorter_line_leaves_nothing_of_the_longer_one():
    screen = Terminal(80)
    line = LiveLine(screen.stream)
    line.show(["a" * 60])
    line.show(["b"])
    assert screen.read().split("\r")[-1] == "b".ljust(79)


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


def test_last_line_is_ended_once():
    screen = Terminal(80)
    line = LiveLine(screen.stream)
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


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0.4, "0 s"),
        (59.6, "1 min 0 s"),
        (125, "2 min 5 s"),
        (11529, "3 h 12 min"),
        (416530, "4 d 19 h"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_short_work_shows_nothing(capsys):
    progress = Progress("loading", 10)
    for done in range(1, 11):
        progress.update(done)
    assert capsys.readouterr().err == ""


def test_long_work_shows_plain_lines_and_its_end(capsys):
    progress = Progress("loading", 10, patience=0.0)
    for done in range(1, 11):
        progress.update(done)
    lines = capsys.readouterr().err.splitlines(keepends=True)
    assert lines[0].startswith("loading: 1/10  ")
    assert lines[-1].startswith("loading: 10/10  0 s left  ")
    for line in lines:
        assert line.endswith("/s\n") and "\r" not in line
