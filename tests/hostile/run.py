"""Tries what a hostile or unlucky user does, and judges how it ends.

    python tests/hostile/run.py
    python tests/hostile/run.py --only='image folder'

Every case is run in a folder of its own that also has files of the user's, in
a process forked from one that has imported TensorFlow; what is to be judged
from the first line on starts in a fresh one. Prints a table
and writes it to --results. Exits with 1 if a case ends in a lost file, an
abort, a hang, a traceback, silence or a wrong answer.
"""

import collections
import importlib.util
import json
import os
import pathlib
import re
import sys
import tempfile
import traceback

from absl import app
from absl import flags
from absl import logging

from tests import hostile
from tests.helpers import forks
from tests.hostile import judging
from tests.hostile import material
from tests.hostile import processes

COLUMNS = ("case", "end", "lines", "seconds", "mib", "verdict")


def chosen_cases(path, only, worst):
    """Cases of a file, or all; those that have a text in their name."""
    cases = _file(path).CASES if path else hostile.all_cases()
    doubled = collections.Counter(case.name for case in cases)
    doubled = [name for name, count in doubled.items() if count > 1]
    if doubled:
        raise ValueError(f"More than one case is called {doubled[0]!r}.")
    return [case for case in cases if only in case.name and case.worst >= worst]


def _file(path):
    spec = importlib.util.spec_from_file_location("cases_of_a_file", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def prepare(folder):
    """Imports what the cases need, and makes the run that they copy."""
    from keras_csc_cli import evaluate  # noqa: F401
    from keras_csc_cli import export  # noqa: F401
    from keras_csc_cli import train  # noqa: F401

    forks.settle()
    child = os.fork()
    if not child:
        try:
            forks.die_with_parent()
            forks.redirect(folder / "prepare.log", folder / "prepare.log")
            material.prepare(folder)
            forks.finish(0)
        except BaseException:
            traceback.print_exc()
        finally:
            forks.finish(1)
    if os.waitpid(child, 0)[1]:
        log = (folder / "prepare.log").read_text()
        sys.exit(f"The run that cases copy could not be made:\n{log}")
    material.PREPARED.update(
        run=folder / "run", saved_model=folder / "saved_models" / "run" / "1"
    )


def row(case, outcome):
    """What the table says of a case."""
    verdict, reason = judging.verdict(case, outcome)
    end = outcome.code if case.snippet == "" else _end(outcome)
    return {
        "case": case.name,
        "end": end,
        "lines": len(outcome.lines),
        "seconds": round(outcome.seconds, 1),
        "mib": round(outcome.mib),
        "verdict": verdict,
        "reason": _short(reason),
        "said": _short(outcome.lines[-1]) if outcome.lines else "",
    }


def _short(text, most=300):
    """A text in one line, without the temporary folder of the cases."""
    text = re.sub(r"[^\s'\"]*/hostile-[^/\s]+/", "", text)
    return " ".join(text.split())[:most]


def _end(outcome):
    if outcome.code is not None:
        return outcome.code
    return outcome.error[0] if outcome.error else "returned"


def show(case, outcome):
    """Prints a case's row, and adds it to the file of `--rows`."""
    values = row(case, outcome)
    if flags.FLAGS.rows:
        with open(flags.FLAGS.rows, "a") as file:
            file.write(json.dumps(values) + "\n")
    name, end = _short(values["case"], 60), str(values["end"])
    cells = (
        f"{name:60} {end:>22} {values['lines']:3} {values['seconds']:5.1f} "
        f"{values['mib']:5} {values['verdict']}"
    )
    reason = f": {values['reason'][:100]}" if values["reason"] else ""
    print(cells + reason, flush=True)


def write(path, rows, counts):
    """Writes the table, a line a case."""
    from keras_csc_cli.records import identification

    from keras_csc.files import replacing

    about = {**identification(), "verdicts": counts, "cases": []}
    start = json.dumps(about, indent=2).removesuffix("]\n}")
    lines = ",\n".join(f"    {json.dumps(each)}" for each in rows)
    with replacing(path) as temporary:
        temporary.write_text(f"{start}\n{lines}\n  ]\n}}\n")
    print(f"Written: {path}")


def main(argv):
    logging.set_verbosity(logging.WARNING)  # As the scripts.
    values = flags.FLAGS
    cases = chosen_cases(values.cases, values.only, values.worst)
    if values.list:
        print("\n".join(case.name for case in cases))
        return 0
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        folder = pathlib.Path(folder)
        if not values.bare:
            prepare(folder)
        work = folder / "cases"
        work.mkdir()
        outcomes = processes.run(cases, work, values.lanes, show)
    rows = [row(case, outcomes[case.name]) for case in cases]
    counts = collections.Counter(each["verdict"] for each in rows)
    counts = {v: counts[v] for v in judging.VERDICTS if counts[v]}
    print(f"{len(rows)} cases: ", end="")
    print(", ".join(f"{count} {name}" for name, count in counts.items()))
    if values.results:
        write(values.results, rows, counts)
    return int(set(counts) != {judging.FINE})


if __name__ == "__main__":
    flags.DEFINE_string("only", "", "Text in the names of cases to run.")
    flags.DEFINE_bool("worst", False, "Only those of the test suite.")
    flags.DEFINE_string("cases", None, "File with CASES, instead of all.")
    flags.DEFINE_bool("bare", False, "The cases need no TensorFlow.")
    flags.DEFINE_integer("lanes", 2, "Cases at a time.")
    flags.DEFINE_bool("list", False, "Prints the names of the cases.")
    flags.DEFINE_string("rows", None, "File to add the rows to, as they come.")
    flags.DEFINE_string("results", None, "File to write the table to, JSON.")
    app.run(main)
