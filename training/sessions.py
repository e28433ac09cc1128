"""The record of a run's sessions, `run.json`."""

import time

from training import workdir as workdirs

import keras


class SessionLog(keras.callbacks.Callback):
    """Records a session of training, as far as it has come.

    Adds to the `sessions` of `run.json` one with `identification()`, the
    steps, seconds and images per second, at the end of every logging interval:
    a session that is killed is recorded up to its last one.

    Args:
        workdir: `Workdir` of the run.
        batch_size: int, images in a step.
    """

    def __init__(self, workdir, batch_size):
        super().__init__()
        self.path = workdir.run
        self.batch_size = batch_size

    def on_train_begin(self, logs=None):
        self._before = []
        if self.path.exists():
            self._before = workdirs.read_json(self.path)["sessions"]
        self._about = workdirs.identification()
        self._first_step, self._began = self.model.step, time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        seconds = max(round(time.monotonic() - self._began, 1), 0.1)
        steps = self.model.step - self._first_step
        session = {
            **self._about,
            "steps": steps,
            "seconds": seconds,
            "images_per_second": round(steps * self.batch_size / seconds, 1),
        }
        sessions = [*self._before, session]
        total = round(sum(each["seconds"] for each in sessions), 1)
        workdirs.write_json(self.path, {"sessions": sessions, "seconds": total})
