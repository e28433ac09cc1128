import time

from keras_csc.terminal import LiveLine
from keras_csc.terminal import duration


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
        self.line = LiveLine(seconds=30.0)
        self.shown = False

    def update(self, done):
        """Reports that `done` of the items are finished."""
        now = time.monotonic()
        last = done == self.total
        if now < self.next_line and not (self.shown and last):
            return
        rate = done / max(now - self.start, 1e-9)
        left = (self.total - done) / max(rate, 1e-9)
        parts = [
            f"{self.label}: {done}/{self.total}",
            f"{duration(left)} left",
            f"{rate:,.0f}/s",
        ]
        self.line.show(parts, last)
        self.next_line = now + 1.0
        self.shown = True
