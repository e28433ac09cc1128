"""The scripts of `training/`, as processes of their own.

Each is forked from one that has imported TensorFlow and not used it: the
import takes longer than what most of them do.
"""

import json
import os
import pathlib
import runpy
import signal
import subprocess
import sys
import traceback

ROOT = pathlib.Path(__file__).parents[1]
SECONDS = 120  # that a script is given


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
        """Runs `training/NAME` in the folder `cwd`.

        Returns:
            `subprocess.CompletedProcess`.
        """
        outputs = [str(self.folder / stream) for stream in ("out", "err")]
        command = [str(ROOT / "training" / name), *map(str, arguments)]
        request = [command, *outputs, str(cwd or self.folder)]
        print(json.dumps(request), file=self._server.stdin, flush=True)
        code = int(self._server.stdout.readline())
        out, err = (pathlib.Path(path).read_text() for path in outputs)
        return subprocess.CompletedProcess(command, code, out, err)

    def close(self):
        self._server.communicate()


def serve():
    """Runs what standard input asks for, and prints the exit codes."""
    from training import evaluate  # noqa: F401
    from training import export  # noqa: F401
    from training import train  # noqa: F401

    for line in sys.stdin:
        child = os.fork()
        if not child:
            run(*json.loads(line))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(code, flush=True)


def run(command, out, err, cwd):
    """Runs a script, and ends this process as it ends."""
    signal.alarm(SECONDS)
    for path, stream in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    os.chdir(cwd)
    sys.argv[:] = command
    code = 0
    try:
        runpy.run_path(command[0], run_name="__main__")
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    serve()
