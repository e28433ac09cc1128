"""Sends signals at random moments of start-up, and looks how training ends.

    python -m tests.helpers.signals --signals=200

Every signal, SIGINT or SIGTERM in turns, goes to a fresh process of
`training/train.py`, between the moment at which it begins to listen (its first
line; /proc says so) and some time after its first steps. It must end with the
convention's exit code, 130 or 143, one line that names the signal, and no
traceback. No test runs it: it takes half an hour.
"""

import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent import futures

from keras_csc_cli import command_line
from keras_csc_cli import records
from keras_csc_cli.records import write_json

from absl import flags

ROOT = pathlib.Path(__file__).parents[2]
RUN = [
    "--dataset=digits",
    "--preset=digits",
    "--architecture=filters=4,feature_dim=8,iterations=2",
    "--batch_size=16",
    "--steps=100000",
    "--log_every=5",
    "--first_atoms=principal:100",
]
PHASES = ("importing", "preparing", "compiling", "training")
PATIENCE = 120.0  # seconds that a process is given to end


def start(folder):
    """Starts a process, and waits until it listens to signals."""
    with open(folder / "stderr", "wb") as errors:
        process = subprocess.Popen(
            [
                sys.executable,
                ROOT / "training" / "train.py",
                *RUN,
                f"--workdir={folder / 'run'}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    while not listens(process.pid):
        time.sleep(0.001)
    return process


def listens(pid):
    """Whether a process has a handler of SIGTERM, as `/proc` says."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    (caught,) = (x for x in status.splitlines() if x.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def phase(folder):
    """How far a process has come, by what it has written."""
    run = folder / "run"
    if (run / "log.jsonl").exists():
        return "training"
    if (run / "tensorboard").exists():
        return "compiling"
    return "preparing" if (run / ".lock").exists() else "importing"


def until_trained(folder):
    """Seconds from listening to the first logged steps."""
    process = start(folder)
    began = time.monotonic()
    while phase(folder) != "training" and process.poll() is None:
        time.sleep(0.05)
    seconds = time.monotonic() - began
    process.kill()
    process.wait()
    return seconds


def send(number, longest, seed):
    """Sends a signal to a fresh process.

    Args:
        number: of the signal.
        longest: seconds within which it is sent.
        seed: of the moment.

    Returns:
        Dict of what came of it.
    """
    folder = pathlib.Path(tempfile.mkdtemp(prefix="keras-csc-signals-"))
    process = start(folder)
    delay = random.Random(seed).uniform(0, longest)
    time.sleep(delay)
    where, began = phase(folder), time.monotonic()
    process.send_signal(number)
    try:
        code = process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    seconds = time.monotonic() - began
    lines = (folder / "stderr").read_text().splitlines()
    shutil.rmtree(folder)
    name = signal.Signals(number).name
    told = [line for line in lines if line.startswith(f"{name}: stopped")]
    result = {
        "signal": name,
        "phase": where,
        "delay": round(delay, 3),
        "code": code,
        "seconds": round(seconds, 2),
        "lines": lines[-5:],
        "good": code == 128 + number
        and len(told) == 1
        and lines[-1] == told[0]
        and not any("Traceback" in line for line in lines),
    }
    verdict = "as it should" if result["good"] else f"NOT: {result}"
    print(f"{name} {where} {delay:.1f} s: {code}, {verdict}", flush=True)
    return result


def summary(results):
    """Dict from the phases to what came of their signals."""
    parts = {
        name: [result for result in results if result["phase"] == name]
        for name in PHASES
    }
    return {
        name: {
            "signals": len(part),
            "ended_as_they_should": sum(each["good"] for each in part),
            "longest_seconds": max(each["seconds"] for each in part),
        }
        for name, part in {**parts, "all": results}.items()
        if part
    }


def main():
    values = flags.FLAGS
    with tempfile.TemporaryDirectory() as folder:
        longest = 1.2 * until_trained(pathlib.Path(folder))
    with futures.ThreadPoolExecutor(values.lanes) as lanes:
        results = list(
            lanes.map(
                lambda index: send(
                    (signal.SIGINT, signal.SIGTERM)[index % 2],
                    longest,
                    f"{values.seed} {index}",
                ),
                range(values.signals),
            )
        )
    found = summary(results)
    print(json.dumps(found, indent=2))
    if values.results:
        about = {"seed": values.seed, "run": RUN, "phases": found}
        about = {**records.identification(), **about}
        write_json(values.results, about)
    sys.exit(not all(result["good"] for result in results))


if __name__ == "__main__":
    flags.DEFINE_integer("signals", 200, "How many.", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "Seed of the moments.")
    flags.DEFINE_integer("lanes", 2, "Processes at a time.", lower_bound=1)
    flags.DEFINE_string("results", None, "File to write the results to, JSON.")
    command_line.run(main)
