"""Worker processes for `test_multi_worker.py`.

    python worker_processes.py FOLDER KINDS FLAGS_OF_TRAIN...

KINDS are those of `parity.cases`, with commas between them.

All are forked from this process, which has imported TensorFlow and not used
it: imports take longer than what the workers do. Each writes its standard
error and exit code to `FOLDER/NAME-INDEX.{err,code}`.
"""

import json
import os
import pathlib
import signal
import sys
import traceback

from keras_csc_cli import console
from keras_csc_cli import local_workers
from keras_csc_cli import strategies
from keras_csc_cli import train

import numpy as np
import tensorflow as tf

from keras_csc import callbacks
from tests.helpers import forks
from tests.helpers import parity

SECONDS = 300


def run(folder, name, count, work):
    """Runs `work(index)` in so many workers, and waits for them."""
    addresses = [f"127.0.0.1:{p}" for p in local_workers.free_ports(count)]
    children = []
    for index in range(count):
        child = os.fork()
        if not child:
            os.environ.update(local_workers.environment(addresses, index))
            run_one(folder / f"{name}-{index}", work, index)
        children.append(child)
    for index, child in enumerate(children):
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        path = folder / f"{name}-{index}.partial"
        path.write_text(str(code))
        path.rename(path.with_suffix(".code"))


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


def train_parity(folder, kind, count):
    """Work that trains all cases of a kind for so many workers."""

    def work(index):
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        for name, (case, dtype) in parity.cases(kind, count).items():
            weights, *rest = parity.train(case, dtype, strategy)
            path = folder / f"{name}-{count}-{index}"
            np.savez(f"{path}.npz", *weights)
            pathlib.Path(f"{path}.partial").write_text(json.dumps(rest))
            os.rename(f"{path}.partial", f"{path}.json")
        values = {"same": {"a": [1]}, "step": 10**9 + index // (count - 1)}
        path = folder / f"differing-{count}-{index}"
        found = strategies.differing(strategy, values)
        pathlib.Path(f"{path}.partial").write_text(json.dumps(found))
        os.rename(f"{path}.partial", f"{path}.json")
        strategies.mean(strategy, 0)

    return work


def run_script(arguments, number=None, step=None):
    """Work that runs `train.py`; worker 1 signals itself at a step."""

    class Signalling(callbacks.StopOnNonFinite):
        def on_train_batch_end(self, batch, logs=None):
            if self.index and self.model.step == step:
                os.kill(os.getpid(), number)

    def work(index):
        Signalling.index = index
        train.callbacks.StopOnNonFinite = Signalling
        sys.argv[:] = ["train.py", *arguments, "--strategy=multi_worker"]
        console.run("train")

    return work


def main(folder, kinds, *arguments):
    forks.settle()
    folder = pathlib.Path(folder)
    for kind in kinds.split(","):
        for count in parity.COUNTS:
            if parity.cases(kind, count):
                work = train_parity(folder, kind, count)
                run(folder, f"{kind}{count}", count, work)
    arguments += (f"--workdir={folder}/run",)
    term, kill = signal.SIGTERM, signal.SIGKILL
    run(folder, "stopped", 2, run_script(arguments, term, 2))
    run(folder, "killed", 2, run_script(arguments, kill, 5))
    run(folder, "finished", 2, run_script(arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
