"""The scripts of `training/`, as processes of their own.

Each is forked from one that has imported TensorFlow: the import takes longer
than what most of them do. TensorFlow must not have been used before: its
threads are not forked.
"""

import gc
import json
import os
import pathlib
import resource
import runpy
import signal
import subprocess
import sys
import traceback

ROOT = pathlib.Path(__file__).parents[2]
SECONDS = 300  # that a script is given


def settle():
    """What was imported stays: the collector does not go through it again.

    Nor does it often go through what is made from here on: tracing makes many
    objects, of which few are garbage.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def redirect(out, err):
    """Sends standard output and standard error to the files of these paths."""
    for path, stream in ((out, 1), (err, 2)):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(path, flags), stream)


def run_script(command):
    """Runs a script, and ends this process as it ends.

    Args:
        command: list of the script's path and its arguments.
    """
    sys.argv[:] = command
    code = 0
    try:
        runpy.run_path(command[0], run_name="__main__")
    except SystemExit as end:
        code = end.code or 0
        if not isinstance(code, int):  # A text, which Python prints.
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
        code = 1
    finish(code)


def finish(code):
    """Ends this process, and leaves out what the first one has to do."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            pass
    os._exit(code)


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

    settle()
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
    redirect(out, err)
    os.chdir(cwd)
    run_script(command)


if __name__ == "__main__":
    serve()
