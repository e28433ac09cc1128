"""Worker processes for `test_processes.py`.

    python -m tests.helpers.worker_processes FOLDER FLAGS_OF_TRAIN...

Two at a time: they run `train.py`, in which worker 1 is killed, and run it
again. All are forked from this process, which has imported TensorFlow and not
used it: imports take longer than what the workers do. Each writes its standard
error and exit code to `FOLDER/NAME-INDEX.{err,code}`.
"""

import json
import os
import pathlib
import signal
import socket
import sys
import traceback

from keras_csc_cli import console
from keras_csc_cli import devices
from keras_csc_cli import running

import tensorflow as tf

from keras_csc import callbacks

SECONDS = 300
WORKERS = 2


def run(folder, name, work):
    """Runs `work(index)` in the workers, and waits for them."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(WORKERS)]
    names = ["127.0.0.1:%d" % each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    children = []
    for index in range(WORKERS):
        child = os.fork()
        if not child:
            task = {"type": "worker", "index": index}
            config = {"cluster": {"worker": names}, "task": task}
            os.environ["TF_CONFIG"] = json.dumps(config)
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
            run_one(folder / f"{name}-{index}", work, index)
        children.append(child)
    for index, child in enumerate(children):
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        (folder / f"{name}-{index}.code").write_text(str(code))


def run_one(path, work, index):
    """Does a worker's work, and ends its process."""
    signal.alarm(SECONDS)
    with open(f"{path}.err", "wb") as errors:
        os.dup2(errors.fileno(), 2)
    try:
        work(index)
    except SystemExit as end:
        os._exit(end.code or 0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def main(folder, *arguments):
    folder = pathlib.Path(folder)

    class Killing(callbacks.StopOnNonFinite):
        """Worker 1 kills itself at step 5."""

        def on_train_batch_end(self, batch, logs=None):
            if self.index and self.model.step == 5:
                os.kill(os.getpid(), signal.SIGKILL)

    def killed(index):
        # Tracing takes longer than these steps; the others are traced.
        tf.config.run_functions_eagerly(True)
        Killing.index = index
        running.callbacks.StopOnNonFinite = Killing
        run_loop = running.loop

        def look(*arguments):
            """Writes what differs between the workers, and trains."""
            values = {"same": {"a": [1]}, "step": 10**9 + index}
            found = devices.differing(arguments[-1], values)
            (folder / f"differing-{index}.json").write_text(json.dumps(found))
            run_loop(*arguments)

        running.loop = look
        script(index)

    def script(index):
        flags = [*arguments, f"--workdir={folder}/run"]
        sys.argv[:] = ["train.py", *flags, "--strategy=multi_worker"]
        console.run("train")

    run(folder, "killed", killed)
    run(folder, "finished", script)


if __name__ == "__main__":
    main(*sys.argv[1:])
