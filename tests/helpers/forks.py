"""Scripts in processes forked from one that has imported TensorFlow.

The import takes longer than what most of them do. TensorFlow must not have
been used before: its threads are not forked.
"""

import ctypes
import gc
import os
import runpy
import signal
import sys
import traceback

PR_SET_PDEATHSIG = 1


def settle():
    """What was imported stays: the collector does not go through it again.

    Nor does it often go through what is made from here on: tracing makes many
    objects, of which few are garbage.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def die_with_parent():
    """This process, a child, does not outlive the one that forked it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


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
        code = exit_code(end)
    except BaseException:
        traceback.print_exc()
        code = 1
    finish(code)


def exit_code(end):
    """The exit code of a `SystemExit`, whose text is printed, as Python's."""
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    print(end.code, file=sys.stderr)
    return 1


def finish(code):
    """Ends this process, and leaves out what the first one has to do."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            pass
    os._exit(code)
