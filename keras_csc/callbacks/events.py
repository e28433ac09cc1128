"""Files of TensorBoard's events."""

import contextlib
import errno
import os

import tensorflow as tf


class EventWriter:
    """Writes TensorBoard's events to a folder.

    Nothing else may write to it at the same time: TensorBoard reads but the
    newest file of a folder.

    Args:
        folder: `pathlib.Path`.

    Raises:
        OSError: here and in `at`, if the events can't be written, with the
            number of the cause, which TensorFlow's own errors lack.
    """

    def __init__(self, folder):
        self.folder = folder
        with self._os_errors():
            self._writer = tf.summary.create_file_writer(str(folder))

    @contextlib.contextmanager
    def at(self, step):
        """Within the context, `tf.summary` writes events of a step."""
        with self._os_errors():
            with self._writer.as_default(step):
                yield
            self._writer.flush()

    def close(self):
        with self._os_errors():
            self._writer.close()

    @contextlib.contextmanager
    def _os_errors(self):
        try:
            yield
        except tf.errors.OpError as error:
            number = _number(error.message)
            text = os.strerror(number)
            raise OSError(number, text, str(self.folder)) from error


def _number(message):
    """Of the system's error that a message holds, or that of any."""
    found = [n for n in errno.errorcode if os.strerror(n) in message]
    return max(found, key=lambda n: len(os.strerror(n)), default=errno.EIO)
