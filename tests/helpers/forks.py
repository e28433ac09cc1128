"""Scripts in processes forked from one that has imported TensorFlow.

The import takes longer than what most of them do. TensorFlow must not have
been used before: its threads are not forked.
"""

import gc
import os
import runpy
import sys
import traceback


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
