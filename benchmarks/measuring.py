"""What the benchmarks share: medians of turns, tables, results."""

import pathlib
import statistics
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
