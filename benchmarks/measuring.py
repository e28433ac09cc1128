"""What the benchmarks share: medians of turns, memory, tables, results."""

import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

from keras_csc_cli.records import identification
from keras_csc_cli.records import read_json
from keras_csc_cli.records import write_json

RESULTS = pathlib.Path(__file__).with_name("results.json")


def seconds(functions, repetitions=15, warmups=3):
    """Median wall time of functions, called in turns.

    A machine's speed drifts: in every round each function is called once, so
    that all of them see the same machine, and ratios can be trusted more than
    times.

    Args:
        functions: dict from names to functions of no argument, which return
            when their work is done.
        repetitions: int, rounds that count.
        warmups: int, rounds before them.

    Returns:
        Dict from names to seconds.
    """
    times = {name: [] for name in functions}
    for round in range(warmups + repetitions):
        for name, function in functions.items():
            began = time.perf_counter()
            function()
            if round >= warmups:
                times[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in times.items()}


def resident_mib(name="VmRSS", process="self"):
    """Resident memory in MiB: now, or with `"VmHWM"` the highest so far.

    Args:
        name: str, of a line of `/proc/PROCESS/status`.
        process: number of a process; this one by default.
    """
    status = pathlib.Path(f"/proc/{process}/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) / 1024


def case(script, *arguments):
    """What a script prints last, as JSON, for `--case` in a process of its own.

    Its C library gives what is freed back at once, so that what is resident is
    in use.
    """
    found = subprocess.run(
        [sys.executable, script, "--case", *map(str, arguments)],
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"},
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(found.stdout.splitlines()[-1])


def report(name, rows, columns, **more):
    """Prints a table, and writes it into `results.json` under a name.

    Args:
        name: str.
        rows: list of dicts.
        columns: keys of the rows to print.
        **more: what else identifies every row, such as versions of peers.
    """
    print_table(rows, columns)
    about = {**identification(), **more}
    found = {**read_json(RESULTS), name: [{**about, **row} for row in rows]}
    write_json(RESULTS, dict(sorted(found.items())))
    machine = f"{about['cores']} cores of {about['processor']}"
    print(f"{machine}; {RESULTS} has all figures.")


def print_table(rows, columns):
    """Prints rows in columns as wide as they need to be."""
    cells = [columns, *([_text(row.get(c)) for c in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    for line in cells:
        print("  ".join(cell.rjust(w) for cell, w in zip(line, widths)))


def _text(value):
    if isinstance(value, float):
        return f"{value:.4g}"
    return "-" if value is None else str(value)
