"""Runs what the studies lack, and collects the rows into one table.

    taskset -c 0 python studies/run.py --data_dir=DATA [--studies=game,quality]
        [--seeds=0] [--dtype_policy=float32]

DATA holds fashion_mnist, cifar10 and imagenet2012 as TFDS prepares them. Run
the same command again to go on; several processes may work side by side, each
on a core of its own. Most runs take some minutes of one core. Writes
studies/results.json. Runs of some minutes are timed first, by the processor.
"""

import os
import pathlib
import subprocess
import sys

from keras_csc_cli import command_line
from keras_csc_cli.records import read_json

from absl import flags

from keras_csc.files import locked
from studies import plan
from studies.runs import HERE
from studies.runs import SEEDS
from studies.runs import TABLE
from studies.tables import rows_of
from studies.tables import write


def missing(runs, folder, table=TABLE):
    """The runs without a row, here or in the table.

    What the table holds may have been made on another machine.
    """
    rows = {row["key"]: row for row in rows_of(table)}
    return [
        run
        for run in runs
        if not (
            (run.key in rows and has(rows[run.key], run))
            or measured(run, folder)
        )
    ]


def has(row, run):
    """Whether a row has all that is measured of a run."""
    return bool(row.get("failed")) or set(run.more) <= set(row)


def measured(run, folder):
    """Whether the folder has such a row."""
    path = folder / run.key / "row.json"
    return path.exists() and has(read_json(path), run)


def work(run, folder, data_dir, *more):
    """Measures a run in a process of its own, unless another one does.

    Raises:
        SystemExit: with the exit code of that process, if it fails.
        UsageError: if a signal ended it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable,
        os.path.relpath(HERE / "measure.py"),
        f"--run={run.key}",
        f"--more={','.join(run.more)}",
        f"--runs={os.path.relpath(folder)}",
        f"--data_dir={data_dir}",
        *more,
    ]
    try:
        with locked(folder / f"{run.key}.lock", wait=False):
            if measured(run, folder):
                return
            code = subprocess.run(command, env=own_code()).returncode
    except BlockingIOError:
        return
    if code < 0:
        raise command_line.UsageError(
            f"the process of {run.key} was ended by signal {-code}."
        )
    if code:  # it has said why
        sys.exit(code)


def own_code():
    """The environment, in which Python imports from this very tree.

    Another copy of it may be the one that is installed.
    """
    path = [str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}


def collect(folder, table=TABLE):
    """Writes the table: the rows of the plan that there are.

    A row has the name that its run has in the plan. Where flag files have
    changed since, the former rows of a run stay, with their own keys, until
    one of its seeds is made again.
    """
    with locked(table.with_suffix(".lock")):
        rows = rows_of(table)
        by_key = {row["key"]: row for row in rows}
        former = {plan.place(row): row for row in plan.former(rows)}
        kept = []
        for run in plan.runs():
            path = folder / run.key / "row.json"
            row = read_json(path) if path.exists() else by_key.get(run.key)
            if row:
                kept.append({"key": run.key, **row, "name": run.name})
            elif plan.place(run._asdict()) in former:
                kept.append(former[plan.place(run._asdict())])
        write(table, plan.without_mixed(kept))


def check_some(flag, given, known):
    """Raises a `UsageError` for what is not among those known."""
    unknown = sorted(set(given or ()) - set(known))
    if unknown:
        raise command_line.UsageError(
            f"--{flag} must be some of {', '.join(known)}. "
            f"Received: {', '.join(unknown)}"
        )


def main():
    values = flags.FLAGS
    check_some("studies", values.studies, plan.STUDIES)
    check_some("seeds", values.seeds, [str(seed) for seed in SEEDS])
    if values.data_dir is None:
        raise command_line.UsageError(
            "--data_dir is missing: the folder of TFDS's data sets."
        )
    folder = pathlib.Path(values.runs)
    policy = (
        [f"--dtype_policy={values.dtype_policy}"] if values.dtype_policy else []
    )
    collect(folder)
    seeds = [int(seed) for seed in values.seeds]
    left = missing(plan.runs(values.studies, seeds), folder)
    for number, run in enumerate(left):
        print(f"{len(left) - number} to go: {run.key}", flush=True)
        work(run, folder, values.data_dir, *policy)
        collect(folder)


if __name__ == "__main__":
    flags.DEFINE_list("studies", None, f"Some of {', '.join(plan.STUDIES)}.")
    flags.DEFINE_list("seeds", [], "Some seeds only, as 0.")
    flags.DEFINE_string("runs", "runs/studies", "Folder of the runs.")
    flags.DEFINE_string("data_dir", None, "Folder of TFDS's data sets.")
    flags.DEFINE_string("dtype_policy", None, "In place of the runs' own.")
    command_line.run(main, user_errors=(OSError,))
