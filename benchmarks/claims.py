"""The method's claims, measured: every study with one command.

    python benchmarks/claims.py --data_dir=DATA
    python benchmarks/claims.py --studies=1,5 --data_dir=DATA
    python benchmarks/claims.py --list

DATA holds fashion_mnist, cifar10 and imagenet2012 as TFDS prepares them; all
of it takes about 12 hours on two CPU cores. `--scale=tiny` runs the same on
embedded data within minutes and shows nothing but that it runs. Run a command
again to go on: a finished piece of a study is a row of its own below --results,
and only pieces without one are measured; a model that a row needs is trained
below --runs, or taken from there. Several processes may work on the same
folders, as one on each core; rates are to be measured by one that is alone.
Writes --page (README.md and pictures) and claims.json beside the rows.
"""

import contextlib
import fcntl
import pathlib
import sys
import time
import traceback

from training import command_line
from training.command_line import Interrupted
from training.command_line import UsageError
from training.workdir import identification

import tensorflow as tf
from absl import flags

from benchmarks.studies import pieces
from benchmarks.studies.data import Library
from benchmarks.studies.definitions import STUDIES
from benchmarks.studies.judges import Judges
from benchmarks.studies.measures import Bench
from benchmarks.studies.page import Page
from benchmarks.studies.page import collect
from benchmarks.studies.plan import SCALES
from benchmarks.studies.plan import Plan
from benchmarks.studies.results import Results
from benchmarks.studies.runs import Runs
from keras_csc.terminal import duration

ROOT = pathlib.Path(__file__).parents[1]
WAIT = 1  # seconds, where other processes work on all that is missing


class Session:
    """Runs the missing pieces of studies.

    Args:
        scale: `plan.Scale`.
        chosen: keys of `STUDIES`; "0", which the others need, is added.
        data_dir: folder of prepared TFDS data sets.
        runs: folder for trained models.
        results: folder for rows.
        page: folder for the page.
    """

    def __init__(self, scale, chosen, data_dir, runs, results, page):
        unknown = set(chosen) - set(STUDIES)
        if unknown:
            raise UsageError(
                f"--studies={','.join(chosen)} must name some of "
                f"{','.join(STUDIES)}."
            )
        self.chosen = [n for n in STUDIES if n in {"0", *chosen}]
        self.folder = pathlib.Path(runs)
        library = Library(data_dir, self.folder / "data")
        self.runs = Runs(self.folder, library)
        self.rows = pieces.Rows(results)
        self.plan = Plan(scale, self.rows)
        judges = Judges(self.folder / "judges", library, scale.judge_steps)
        self.bench = Bench(library, self.runs, self.rows, scale, judges)
        self.page = pathlib.Path(page)
        self.skipped = {}

    def entries(self):
        """Pairs of a study's key and an entry, in the order of work."""
        for number in self.chosen:
            for entry in STUDIES[number].entries(self.plan):
                yield number, entry

    def missing(self):
        """The entries without a row, a piece once, and the number of all."""
        found, seen = [], set()
        for number, entry in self.entries():
            name = self.rows.path(entry.piece)
            if name in seen:
                continue
            seen.add(name)
            if not name.exists() and name not in self.skipped:
                found.append((number, entry))
        return found, len(seen)

    def seconds(self, entries):
        """A guess of what pieces take, models that several need once."""
        trained = {path.parent.name for path in self.folder.glob("*/model")}
        total = 0
        for _, entry in entries:
            total += self.plan.seconds(entry.piece, trained)
            trained.add(pieces.name(entry.piece.run))
        return total

    def run(self):
        """Measures what is missing; settings first, for they name the rest.

        Returns:
            Number of pieces that could not be measured.
        """
        try:
            missing, total = self.missing()
            while missing:
                left = duration(self.seconds(missing))
                progress = f"{total - len(missing) + 1}/{total}, about {left}"
                self._measure_one(missing, f"[{progress} left]")
                missing, total = self.missing()
        finally:
            self.write_page()
        return len(self.skipped)

    def _measure_one(self, missing, progress):
        """Measures the first piece whose run no other process works on."""
        settings = [pair for pair in missing if pair[0] == "0"]
        for number, entry in settings or missing:
            with self._held(entry.piece.run) as held:
                if not held:
                    continue
                if not self.rows.path(entry.piece).exists():
                    self._measure(number, entry, progress)
                return
        time.sleep(WAIT)

    @contextlib.contextmanager
    def _held(self, run):
        """Yields whether this process is the one to work on a run."""
        path = self.folder / "locks" / pieces.name(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def _measure(self, number, entry, progress):
        piece = entry.piece
        labels = " ".join(str(value) for value in entry.labels.values())
        say(f"{progress} study {number}, {piece.measure}: {labels}")
        began = time.monotonic()
        try:
            figures = self.bench.measure(piece)
        except (Interrupted, KeyboardInterrupt):
            say("Stopped. Run the same command again to go on.")
            raise
        except Exception as error:
            self.skipped[self.rows.path(piece)] = error
            say(f"Skipped: {type(error).__name__}: {error}")
            with open(self.folder / "errors.log", "a") as log:
                traceback.print_exc(file=log)
            return
        seconds = round(time.monotonic() - began, 1)
        self.rows.put(piece, figures, seconds=seconds, about=identification())

    def write_page(self):
        """Writes the page and claims.json from the rows of all studies."""
        results = Results(STUDIES, self.plan)
        command = "python benchmarks/claims.py --data_dir=DATA"
        Page(results, STUDIES, self.page, command).write()
        collect(results, STUDIES, self.rows.folder.parent / "claims.json")
        say(f"Page: {self.page / 'README.md'}")

    def list(self):
        """Prints what is done and what is missing, study by study."""
        missing, _ = self.missing()
        for number in self.chosen:
            paths = {
                self.rows.path(entry.piece)
                for own, entry in self.entries()
                if own == number
            }
            left = [pair for pair in missing if pair[0] == number]
            done = sum(path.exists() for path in paths)
            print(
                f"{number}. {STUDIES[number].title}: {done} of {len(paths)} "
                f"rows; about {duration(self.seconds(left))} left"
            )
        print(f"About {duration(self.seconds(missing))} in all.")


def say(text):
    print(text, file=sys.stderr, flush=True)


def define(flag_values):
    """Defines the script's flags."""
    kwargs = {"flag_values": flag_values}
    flags.DEFINE_list("studies", list(STUDIES), "Which studies.", **kwargs)
    flags.DEFINE_enum("scale", "full", list(SCALES), "How much.", **kwargs)
    flags.DEFINE_string(
        "data_dir", None, "Folder of prepared TFDS data sets.", **kwargs
    )
    flags.DEFINE_string(
        "runs", None, "Folder of trained models: runs/claims.", **kwargs
    )
    flags.DEFINE_string(
        "results", None, "Rows: benchmarks/results/claims.", **kwargs
    )
    flags.DEFINE_string("page", None, "The page: docs/results.", **kwargs)
    flags.DEFINE_bool(
        "list", False, "Lists what is done and what is missing.", **kwargs
    )


def main():
    values = flags.FLAGS
    # Every model has functions of its own, which is no retracing.
    tf.get_logger().setLevel("ERROR")
    runs = pathlib.Path(values.runs or ROOT / "runs" / "claims")
    results, page = ROOT / "benchmarks/results/claims", ROOT / "docs/results"
    if values.scale != "full":
        runs = pathlib.Path(values.runs or ROOT / "runs" / "claims-tiny")
        results, page = runs / "results" / "claims", runs / "page"
    session = Session(
        SCALES[values.scale],
        values.studies,
        values.data_dir,
        runs,
        values.results or results,
        values.page or page,
    )
    if values.list:
        session.list()
        return
    skipped = session.run()
    if skipped:
        raise UsageError(
            f"{skipped} pieces could not be measured; {runs}/errors.log says "
            "why. Run the command again to try them again."
        )


if __name__ == "__main__":
    define(flags.FLAGS)
    command_line.run(main)
