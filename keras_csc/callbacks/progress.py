"""The line that says how far training has come."""

import time

import keras

from keras_csc.terminal import LiveLine
from keras_csc.terminal import duration

# Shown after the rate and the time left, as long as there is room.
TERMS = {
    "shown_psnr": "PSNR {:.1f} dB",
    "objective": "objective {:.3g}",
    "consistency": "consistency {:.3g}",
    "multistage": "multistage {:.3g}",
    "input_wait": "waiting for input {:.1%}",
}


class ProgressLine(keras.callbacks.Callback):
    """Prints one line with the step, rate, time left and the main terms.

    Among them the PSNR of images that are not trained on, if `ScalarLog`
    comes earlier in the list of callbacks. On a terminal the line is rewritten
    and fits its width; elsewhere a plain one is printed after the first two
    steps and for every epoch (logging interval), at most one in `seconds`.

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
        self.line = LiveLine(stream, seconds)

    def on_train_begin(self, logs=None):
        self._began_at = None
        self.line.show(["reading and tracing the first step"])

    def on_train_batch_end(self, batch, logs=None):
        step = self.model.step
        if self._began_at is None:
            # The rate is without the first step, which traces the graph.
            self._began_at, self._first_step = time.monotonic(), step
        if step <= self._first_step + 1:
            self.line.show(self._parts(step, {}))

    def on_epoch_end(self, epoch, logs=None):
        step = self.model.step
        parts = self._parts(step, logs or {})
        self.line.show(parts, last=step >= self.steps)

    def on_train_end(self, logs=None):
        self.line.end()

    def _parts(self, step, logs):
        parts = [f"step {step}/{self.steps}"]
        taken = step - self._first_step
        if taken:
            rate = taken / max(time.monotonic() - self._began_at, 1e-9)
            left = (self.steps - step) / rate
            parts += [
                f"{duration(left)} left",
                f"{rate * self.batch_size:,.0f} images/s",
            ]
        return parts + [
            text.format(float(logs[name]))
            for name, text in TERMS.items()
            if name in logs
        ]
