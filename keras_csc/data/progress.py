import sys
import time


class Progress:
    """A progress line on stderr, shown only once the work proves long.

    Where stderr is no terminal, a line of its own every 30 seconds.

    Args:
        label: text in front of the counts.
        total: number of items to come.
        patience: seconds before the line first appears.
    """

    def __init__(self, label, total, patience=5.0):
        self.label = label
        self.total = total
        self.start = time.monotonic()
        self.next_line = self.start + patience
        self.shown = False

    def update(self, done):
        """Reports that `done` of the items are finished."""
        now = time.monotonic()
        finished = self.shown and done == self.total
        if now < self.next_line and not finished:
            return
        rate = done / (now - self.start)
        left = (self.total - done) / max(rate, 1e-9)
        line = f"{self.label}: {done}/{self.total}, {rate:.0f}/s, {left:.0f} s"
        if sys.stderr.isatty():
            end = " left\n" if finished else " left "
            print("\r" + line, end=end, file=sys.stderr, flush=True)
        else:
            print(line + " left", file=sys.stderr, flush=True)
        self.next_line = now + (1.0 if sys.stderr.isatty() else 30.0)
        self.shown = True
