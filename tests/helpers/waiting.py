"""A process that tests wait for, each for the part that it is about."""

import subprocess
import sys
import time

from tests.helpers import forks

LINUX = sys.platform == "linux"
SECONDS = 600  # that a part is given, on a machine that others use


class Working:
    """A process that works; to be closed.

    Args:
        command: list of str.
        folder: `pathlib.Path`, for what it prints and leaves.
        **kwargs: of `subprocess.Popen`.
    """

    def __init__(self, command, folder, **kwargs):
        self.folder = folder
        self.log = folder / "working.log"
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdout=log,
                stderr=log,
                preexec_fn=forks.die_with_parent if LINUX else None,
                **kwargs,
            )

    def wait(self, find):
        """What `find()` returns, once it is not `None`.

        Raises:
            AssertionError: if the process has ended before, or takes too long.
        """
        began = time.monotonic()
        while True:
            ended = self._process.poll() is not None
            found = find()
            if found is not None:
                return found
            late = time.monotonic() - began > SECONDS
            assert not (ended or late), self.log.read_text()[-5000:]
            time.sleep(0.05)

    def left(self, name):
        """The path of a file in its folder, once there is one."""
        path = self.folder / name
        return self.wait(lambda: path if path.exists() else None)

    def close(self):
        self._process.wait(SECONDS)
