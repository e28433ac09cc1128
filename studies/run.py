"""Runs what the studies lack, and collects the rows into one table.

    python studies/run.py --data_dir=DATA --rates
    python studies/run.py --data_dir=DATA [--studies=ablation,quality]
        [--dtype_policy=float32]

DATA holds fashion_mnist, cifar10 and imagenet2012 as TFDS prepares them. Run
the same command again to go on; several processes may work side by side, each
on a core of its own. A run takes six to eight minutes of one core, all of them
some hours. Writes studies/results.json; with --rates only studies/rates.json,
how fast everyone is, by which the equal times of the others go.
"""

import os
import pathlib
import subprocess
import sys

from keras_csc_cli import command_line
from keras_csc_cli.records import read_json
from keras_csc_cli.records import write_json

from absl import flags

from keras_csc.files import locked
from studies import plan
from studies.tables import rows_of

HERE = pathlib.Path(__file__).parent
TABLE = HERE / "results.json"


def missing(runs, folder, table=TABLE):
    """The runs without a row, here or in the table, as each one's turn comes.

    What the table holds may have been made on another machine.
    """
    for number, run in enumerate(runs, start=1):
        rows = [row for row in rows_of(table) if row["key"] == run.key]
        if not (any(has(row, run) for row in rows) or measured(run, folder)):
            yield f"{number}/{len(runs)}", run


def has(row, run):
    """Whether a row has all that is measured of a run."""
    return bool(row.get("failed")) or set(run.more) <= set(row)


def measured(run, folder):
    """Whether the folder has such a row."""
    path = folder / run.key / "row.json"
    return path.exists() and has(read_json(path), run)


def work(run, folder, data_dir, *more):
    """Measures a run in a process of its own, unless another does.

    Raises:
        SystemExit: with the exit code of that process, if it fails.
        UsageError: if a signal ended it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with locked(folder / f"{run.key}.lock", wait=False):
            if not measured(run, folder):
                finished = subprocess.run(
                    [
                        sys.executable,
                        os.path.relpath(HERE / "measure.py"),
                        f"--run={run.key}",
                        f"--more={','.join(run.more)}",
                        f"--runs={os.path.relpath(folder)}",
                        f"--data_dir={data_dir}",
                        *more,
                    ],
                    env=own_code(),
                )
                if finished.returncode < 0:
                    raise command_line.UsageError(
                        f"the process of {run.key} was ended by signal "
                        f"{-finished.returncode}."
                    )
                if finished.returncode:  # it has said why
                    sys.exit(finished.returncode)
    except BlockingIOError:
        return


def own_code():
    """The environment, in which Python imports from this very tree.

    Another copy of it may be the one that is installed.
    """
    path = [str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}


def collect(folder, table=TABLE):
    """Writes the table: the rows of the plan that there are.

    A row has the name that its run has in the plan. Where flag files or rates
    have changed since, the former rows of a run stay, with their own keys,
    until one of its seeds is made again.
    """
    with locked(table.with_suffix(".lock")):
        rows = rows_of(table)
        by_key = {row["key"]: row for row in rows}
        former = {plan.place(row): row for row in plan.former(rows)}
        found = []
        for run in plan.runs():
            path = folder / run.key / "row.json"
            row = read_json(path) if path.exists() else by_key.get(run.key)
            if row:
                found.append({"key": run.key, **row, "name": run.name})
                continue
            row = former.get(plan.place(run._asdict()))
            if row:
                found.append(row)
        write_json(table, plan.without_mixed(found))


def measure_rates(folder, data_dir):
    """Writes `plan.RATES_FILE`."""
    found = {}
    for name, run in plan.rate_runs().items():
        print(f"Rate of {name}", flush=True)
        work(run, folder, data_dir, "--rate")
        found[name] = read_json(folder / run.key / "row.json")
    write_json(plan.RATES_FILE, found)


def main():
    values = flags.FLAGS
    plan.check_some("studies", values.studies, plan.STUDIES)
    if values.data_dir is None:
        raise command_line.UsageError(
            "--data_dir is missing: the folder of TFDS's data sets."
        )
    folder = pathlib.Path(values.runs)
    if values.rates:
        measure_rates(folder / "rates", values.data_dir)
        return
    if not plan.rates_found():
        raise command_line.UsageError(
            "studies/rates.json is missing. Measure with --rates first."
        )
    policy = (
        [f"--dtype_policy={values.dtype_policy}"] if values.dtype_policy else []
    )
    runs = plan.runs(values.studies)
    for number, run in missing(runs, folder):
        print(f"{number}: {run.key}", flush=True)
        work(run, folder, values.data_dir, *policy)
        collect(folder)
    collect(folder)


if __name__ == "__main__":
    flags.DEFINE_list("studies", None, f"Some of {', '.join(plan.STUDIES)}.")
    flags.DEFINE_bool("rates", False, "Measures how fast training is.")
    flags.DEFINE_string("runs", "runs/studies", "Folder of the runs.")
    flags.DEFINE_string("data_dir", None, "Folder of TFDS's data sets.")
    flags.DEFINE_string("dtype_policy", None, "In place of the runs' own.")
    command_line.run(main, user_errors=(OSError,))
