import sys
import time

import keras


class ProgressLine(keras.callbacks.Callback):
    """Prints one line with the step, rate, time left and the main terms.

    On a terminal the line is rewritten, elsewhere one is printed for every
    epoch (logging interval), at most one in `seconds`.

    Args:
        steps: int, the step at which training ends.
        batch_size: int, images in a step.
        stream: where to print, by default standard error.
        seconds: float, least time between two lines that are not rewritten.
    """

    def __init__(self, steps, batch_size, stream=None, seconds=5.0):
        super().__init__()
        self.steps = steps
        self.batch_size = batch_size
        self.stream = stream or sys.stderr
        self.seconds = seconds
        self._printed_at = -float("inf")

    def on_train_begin(self, logs=None):
        self._first_step = self.model.step
        self._began_at = None

    def on_epoch_end(self, epoch, logs=None):
        now = time.monotonic()
        step = self.model.step
        if self._began_at is None:
            # The first interval holds the tracing of the graph.
            self._began_at, self._first_step = now, step
            return
        last = step >= self.steps
        if now - self._printed_at < self.seconds and not last:
            return
        self._printed_at = now
        line = self._line(step, now - self._began_at, logs or {})
        if self.stream.isatty():
            line = "\r" + line.ljust(100) + ("\n" if last else "")
        else:
            line += "\n"
        self.stream.write(line)
        self.stream.flush()

    def _line(self, step, elapsed, logs):
        rate = (step - self._first_step) / max(elapsed, 1e-9)
        left = (self.steps - step) / max(rate, 1e-9)
        terms = "  ".join(
            f"{name} {float(logs[name]):.3g}"
            for name in ("objective", "consistency", "stages")
            if name in logs
        )
        if "input_wait" in logs:
            terms += f"  waiting for input {logs['input_wait']:.1%}"
        return (
            f"step {step}/{self.steps}  {rate * self.batch_size:,.0f} "
            f"images/s  {duration(left)} left  {terms}"
        )


def duration(seconds):
    """`1:02:03` or `2:03` for a number of seconds."""
    minutes, seconds = divmod(int(round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{seconds:02d}"
    return f"{minutes}:{seconds:02d}"
