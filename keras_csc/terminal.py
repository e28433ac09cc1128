"""Lines that say how far something has come, on a terminal or elsewhere."""

import os
import sys
import time
import weakref

WIDTH = 80  # columns of a terminal that does not say how many it has
_open_lines = weakref.WeakSet()


class LiveLine:
    """A line that is written again and again.

    On a terminal it takes the place of the last one, and has no more parts
    than fit its width. Elsewhere it is a plain line, at most one in so many
    seconds. Where nobody can read the stream (by default standard error),
    nothing is shown.
    """

    def __init__(self, stream=None, seconds=5.0):
        self.stream = sys.stderr if stream is None else stream
        self.seconds = seconds
        self._shown_at = -float("inf")

    def show(self, parts, last=False):
        """Shows a line of some strings, the most important first."""
        if self._is_rewritten():
            line = fit(parts, terminal_width(self.stream) - 1)
            self._write("\r" + line)
            _open_lines.add(self)
            if last:
                self.end()
        elif last or time.monotonic() - self._shown_at >= self.seconds:
            self._shown_at = time.monotonic()
            self._write("  ".join(parts) + "\n")

    def end(self):
        """Ends the line, so that the next text begins on its own."""
        if self in _open_lines:
            _open_lines.discard(self)
            self._write("\n")

    def _is_rewritten(self):
        try:
            return self.stream is not None and self.stream.isatty()
        except ValueError:  # it has been closed
            return False

    def _write(self, text):
        if not _written(self.stream, text):
            self.stream = None


class Progress:
    """A progress line on stderr, shown only once the work proves long.

    Where stderr is no terminal, a line of its own every 30 seconds.
    """

    def __init__(self, label, total, patience=5.0):
        self.label = label
        self.total = total
        self.start = time.monotonic()
        self.next_line = self.start + patience
        self.line = LiveLine(seconds=30.0)
        self.shown = False
        self.done = 0

    def advance(self, count):
        """Reports that so many more items are finished."""
        self.update(self.done + count)

    def update(self, done):
        """Reports that `done` of the items are finished."""
        self.done = done
        now = time.monotonic()
        last = done == self.total
        if now < self.next_line and not (self.shown and last):
            return
        parts = [f"{self.label}: {done}/{self.total}"]
        if done:
            rate = done / max(now - self.start, 1e-9)
            left = (self.total - done) / rate
            parts.append(f"{duration(left)} left")
            parts += [f"{rate:,.0f}/s"] if rate >= 1 else []
        self.line.show(parts, last)
        self.next_line = now + 1.0
        self.shown = True


def say(text):
    """Prints a line on standard error, which nobody need be able to read."""
    end_lines()
    _written(sys.stderr, text + "\n")


def _written(stream, text):
    """Whether a stream took a text: not one that is closed, full or unread."""
    try:
        if stream is not None:
            stream.write(text)
            stream.flush()
            return True
    except (OSError, ValueError):
        pass
    return False


def end_lines():
    """Ends the lines that are being rewritten, before something is printed."""
    for line in list(_open_lines):
        line.end()


def fit(parts, width):
    """As many of the parts as fit, at least the first, cut or padded."""
    line = parts[0][:width]
    for part in parts[1:]:
        if len(line) + 2 + len(part) <= width:
            line += "  " + part
    return line.ljust(width)


def terminal_width(stream):
    """Columns of the terminal that a stream writes to, as it is now."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or WIDTH
    except (OSError, ValueError, AttributeError):
        return WIDTH


def duration(seconds):
    """`12 s`, `2 min 5 s`, `3 h 12 min` or `4 d 19 h`."""
    count = int(round(seconds))
    for size, unit, below, smaller in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if count >= size:
            return f"{count // size} {unit} {count % size // below} {smaller}"
    return f"{count} s"
