import sys
import time


class Progress:
    """A progress line on stderr, shown only once the work proves long.

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
        end = " left\n" if finished else " left "
        print("\r" + line, end=end, file=sys.stderr, flush=True)
        self.next_line = now + 1.0
        self.shown = True
