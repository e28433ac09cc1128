"""The scripts of `training/`, as processes of their own.

Each is forked from one that has imported TensorFlow and not used it: the
import takes longer than what most of them do.
"""

import json
import os
import pathlib
import resource
import signal
import subprocess
import sys

from tests.helpers import forks

ROOT = pathlib.Path(__file__).parents[2]
SECONDS = 300  # that a script is given


class Scripts:
    """Runs scripts; to be closed.

    Args:
        folder: `pathlib.Path`, for what they print.
    """

    def __init__(self, folder):
        self.folder = folder
        self._server = subprocess.Popen(
            [sys.executable, __file__],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, name, *arguments, cwd=None):
        """Runs `training/NAME`, or a path of the repository, in a folder.

        Returns:
            `subprocess.CompletedProcess`, with the memory that it took beyond
            the imports, `mib`.
        """
        outputs = [str(self.folder / stream) for stream in ("out", "err")]
        folder = ROOT if "/" in name else ROOT / "training"
        command = [str(folder / name), *map(str, arguments)]
        request = [command, *outputs, str(cwd or self.folder)]
        print(json.dumps(request), file=self._server.stdin, flush=True)
        code, mib = json.loads(self._server.stdout.readline())
        out, err = (pathlib.Path(path).read_text() for path in outputs)
        ended = subprocess.CompletedProcess(command, code, out, err)
        ended.mib = mib
        return ended

    def close(self):
        self._server.communicate()


def serve():
    """Runs what standard input asks for, and prints how it ended."""
    from keras_csc_cli import evaluate  # noqa: F401
    from keras_csc_cli import export  # noqa: F401
    from keras_csc_cli import restore  # noqa: F401
    from keras_csc_cli import train  # noqa: F401

    forks.settle()
    own = resource.getrusage(resource.RUSAGE_SELF)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            run(*json.loads(line))
        _, status, usage = os.wait4(child, 0)
        code = os.waitstatus_to_exitcode(status)
        mib = (usage.ru_maxrss - own.ru_maxrss) / 1024
        print(json.dumps([code, mib]), flush=True)


def run(command, out, err, cwd):
    """Runs a script, and ends this process as it ends."""
    signal.alarm(SECONDS)
    forks.redirect(out, err)
    os.chdir(cwd)
    forks.run_script(command)


if __name__ == "__main__":
    serve()
