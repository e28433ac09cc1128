"""Trains with several worker processes on this machine, on its CPU.

    python training/local_workers.py --workers=2 -- --flagfile=digits.flags
    keras-csc local_workers --workers=2 -- --flagfile=digits.flags

Runs `train --strategy=multi_worker` with the flags after `--` in
so many processes, each with its own TF_CONFIG: a rehearsal of a run on several
machines. Lines of all workers but the first are marked with their number.
Ctrl-C and SIGTERM are passed on. When a worker fails, the others end by
themselves within a minute or are ended then. The exit code is that of the first
worker that failed, or 0.
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

from keras_csc_cli import interruption

MOST_WORKERS = 64
PATIENCE = 60.0  # seconds


def start(workers, arguments):
    """Starts the processes.

    Args:
        workers: int, how many.
        arguments: list of the flags of `train.py`.

    Returns:
        List of `subprocess.Popen`, whose standard errors are pipes.
    """
    addresses = [f"127.0.0.1:{port}" for port in free_ports(workers)]
    command = [
        sys.executable,
        "-m",
        "keras_csc_cli",
        "train",
        *arguments,
        "--strategy=multi_worker",
    ]
    return [
        subprocess.Popen(
            command,
            env={**os.environ, **environment(addresses, index)},
            stderr=subprocess.PIPE,
            text=True,
            errors="backslashreplace",
            start_new_session=True,
            preexec_fn=_listen,
        )
        for index in range(workers)
    ]


def _listen():
    signal.pthread_sigmask(signal.SIG_UNBLOCK, interruption.NUMBERS)


def environment(addresses, index):
    """What the environment of a worker differs in."""
    config = {
        "cluster": {"worker": addresses},
        "task": {"type": "worker", "index": index},
    }
    return {"TF_CONFIG": json.dumps(config), "CUDA_VISIBLE_DEVICES": ""}


def free_ports(count):
    """Ports that no process listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def wait(processes):
    """Shows the lines of processes until all have ended.

    Returns:
        Exit code of the first that failed, or 0.
    """
    threads = [
        threading.Thread(target=_show, args=(process, index))
        for index, process in enumerate(processes)
    ]
    for thread in threads:
        thread.start()
    failed, running = [], list(processes)
    last = float("inf")
    while running:
        time.sleep(0.1)
        # Asked once: a signal handler may learn in between that one has ended.
        codes = [process.poll() for process in running]
        failed += [code for code in codes if code]
        running = [p for p, code in zip(running, codes) if code is None]
        if failed:
            last = min(last, time.monotonic() + PATIENCE)
        if time.monotonic() > last:
            for process in running:
                process.kill()
    for thread in threads:
        thread.join()
    code = failed[0] if failed else 0
    return 128 - code if code < 0 else code


def _show(process, index):
    mark = f"worker {index}: " if index else ""
    for line in process.stderr:
        # Also when nobody reads it: the worker would wait for ever.
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(mark + line)
            sys.stderr.flush()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=2,
        choices=range(1, MOST_WORKERS + 1),
        metavar="N",
        help=f"1 to {MOST_WORKERS}, each a process on this machine",
    )
    parser.add_argument("flags", nargs="*", help="flags of train, after --")
    options = parser.parse_args()
    # A signal that comes now is theirs from their first moment on.
    signal.pthread_sigmask(signal.SIG_BLOCK, interruption.NUMBERS)
    processes = start(options.workers, options.flags)

    def pass_on(number, frame):
        for process in processes:
            process.send_signal(number)

    for number in interruption.NUMBERS:
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, interruption.NUMBERS)
    try:
        sys.exit(wait(processes))
    finally:
        for process in processes:
            process.kill()
