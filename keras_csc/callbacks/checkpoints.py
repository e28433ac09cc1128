import pathlib
import re
import shutil
import sys
import time

import keras
import tensorflow as tf


class CheckpointError(Exception):
    """A checkpoint that can't be written or read; the message says why."""


class TrainingCheckpoint(keras.callbacks.Callback):
    """Saves and restores a `ClosedLoopAutoencoder` in training.

    A checkpoint is a folder `FOLDER/step-00001000` with the weights, and the
    state of both optimizers with their moving averages and step counts. It is
    written under a temporary name and renamed: it is complete or absent.
    `restore` goes back to the newest one that can be read.

    Args:
        folder: where the checkpoints are.
        every_steps: int, steps between checkpoints, or `None`.
        every_minutes: float, minutes between checkpoints, or `None`.
        keep: int, how many of the newest to keep.
        write: bool, `False` on workers that only read.
    """

    def __init__(
        self, folder, every_steps=None, every_minutes=None, keep=3, write=True
    ):
        super().__init__()
        self.folder = pathlib.Path(folder)
        self.every_steps = every_steps
        self.every_minutes = every_minutes
        self.keep = keep
        self.write = write
        self._saved_at = time.monotonic()

    def _checkpoint(self):
        # Lists of variables: TensorFlow does not see those of layers that a
        # Keras model holds in a list.
        model = self.model
        return tf.train.Checkpoint(
            **{
                name: [variable.value for variable in variables]
                for name, variables in (
                    ("model", model.weights),
                    ("encoder_optimizer", model.encoder_optimizer.variables),
                    ("decoder_optimizer", model.decoder_optimizer.variables),
                )
            }
        )

    def steps(self):
        """Steps of the checkpoints that exist, oldest first."""
        found = []
        for path in self.folder.glob("step-*"):
            match = re.fullmatch(r"step-(\d+)", path.name)
            if match:
                found.append(int(match.group(1)))
        return sorted(found)

    def path(self, step):
        return self.folder / f"step-{step:08d}"

    def restore(self, model=None):
        """Restores the newest checkpoint that can be read.

        Args:
            model: compiled `ClosedLoopAutoencoder`, by default the callback's.

        Returns:
            Its step; 0 if there is no checkpoint.

        Raises:
            CheckpointError: if there are checkpoints, and none can be read.
        """
        if model is not None:
            self.set_model(model)
        steps = self.steps()
        for step in reversed(steps):
            try:
                self._read(self.path(step))
            except (tf.errors.OpError, AssertionError, ValueError) as error:
                reason = str(error).strip().splitlines()[0]
                print(
                    f"The checkpoint {self.path(step)} can't be read and is "
                    f"passed over: {reason}",
                    file=sys.stderr,
                )
            else:
                return step
        if steps:
            raise CheckpointError(
                f"None of the {len(steps)} checkpoints in {self.folder} can "
                "be read. Remove that folder to start again from step 0."
            )
        return 0

    def _read(self, path):
        status = self._checkpoint().read(str(path / "checkpoint"))
        status.assert_consumed()

    def save(self, step):
        """Writes a checkpoint now, unless that step has one."""
        self._saved_at = time.monotonic()
        path = self.path(step)
        if not self.write or path.exists():
            return
        temporary = self.folder / f".step-{step:08d}.partial"
        try:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            self._checkpoint().write(str(temporary / "checkpoint"))
            temporary.rename(path)
        except (OSError, tf.errors.OpError) as error:
            shutil.rmtree(temporary, ignore_errors=True)
            raise CheckpointError(
                f"The checkpoint {path} can't be written: {error}. Make room "
                "or give write access, and run the same command again."
            ) from error
        for old in self.steps()[: -self.keep]:
            shutil.rmtree(self.path(old), ignore_errors=True)

    def on_train_batch_end(self, batch, logs=None):
        if self.is_due():
            self.save(self.model.step)

    def is_due(self):
        """Whether the current step is one to save."""
        if self.every_steps and self.model.step % self.every_steps == 0:
            return True
        if not self.every_minutes:
            return False
        return time.monotonic() - self._saved_at >= 60 * self.every_minutes

    def on_train_end(self, logs=None):
        self.save(self.model.step)
