"""Running cases in processes of their own, several at a time."""

import json
import os
import pathlib
import re
import resource
import shutil
import signal
import sys
import time
import traceback
import zlib

from tests.helpers import forks
from tests.hostile import material
from tests.hostile import trees
from tests.hostile.judging import Outcome

TRAINING = pathlib.Path(__file__).parents[2] / "training"
MORE_MIB = 8192  # of addresses, beyond those that the imports take
CHUNK = 12  # snippets that share a process, until one of them ends it
PAUSE = 0.02
IDLE = 0.05  # share of its time in which a process that works does so
PATIENCE = 4  # times the time of a case, on a machine that others use


def run(cases, folder, lanes, say=lambda case, outcome: None):
    """Runs cases, as many at a time as there are lanes.

    This process forks them: it should have imported what they need, and used
    none of it.

    Args:
        cases: list of `Case`.
        folder: `pathlib.Path`, empty.
        lanes: int.
        say: function of a case and its outcome, called as they end.

    Returns:
        Dict from names of cases to `Outcome`.
    """
    waiting, running, outcomes = jobs(cases, folder), [], {}
    try:
        while waiting or running:
            while waiting and len(running) < lanes:
                job = waiting.pop(0)
                job.start()
                running.append(job)
            time.sleep(PAUSE)
            for job in [job for job in running if job.has_ended()]:
                running.remove(job)
                for case, outcome in job.outcomes():
                    outcomes[case.name] = outcome
                    say(case, outcome)
                waiting[:0] = job.rest()
    finally:
        for job in running:
            job.kill()
    return outcomes


def jobs(cases, folder):
    """What is to be forked: a command each, and chunks of snippets."""
    snippets = [case for case in cases if case.snippet]
    chunks = [snippets[i : i + CHUNK] for i in range(0, len(snippets), CHUNK)]
    commands = [case for case in cases if not case.snippet]
    return [
        *(Command(case, folder) for case in commands),
        *(Snippets(chunk, folder) for chunk in chunks),
    ]


class Job:
    """A forked process; `work` is what it does."""

    def start(self):
        self.began = self.since = time.monotonic()
        self.hangs, self.worked_before = False, 0.0
        sys.stdout.flush()
        self.pid = os.fork()
        if not self.pid:
            self._be_child()

    def _be_child(self):
        try:
            os.setsid()
            forks.die_with_parent()
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            limit = (_kib("VmSize") + MORE_MIB * 1024) * 1024
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            self.work()
        except BaseException:
            traceback.print_exc()
        finally:
            forks.finish(1)

    def has_ended(self):
        pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        if not pid:
            if not self._is_too_slow():
                return False
            self.hangs = True
            self.kill()
            _, status, usage = os.wait4(self.pid, 0)
        self.code, self.usage = os.waitstatus_to_exitcode(status), usage
        self.kill()
        return True

    def _is_too_slow(self):
        """Whether it has had its time, which others' work does not shorten.

        What works has its time of CPU, and some patience besides.
        """
        waited, limit = time.monotonic() - self.since, self.limit()
        if waited <= limit:
            return False
        worked = _cpu_seconds(self.pid) - self.worked_before
        idle = worked < IDLE * waited
        return idle or worked > limit or waited > PATIENCE * limit

    def progressed(self):
        """From now on its time is counted anew."""
        self.since, self.worked_before = (
            time.monotonic(),
            _cpu_seconds(self.pid),
        )

    def kill(self):
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def rest(self):
        """Jobs of what this one did not come to."""
        return []


class Command(Job):
    """A case that is a command or a shell line."""

    def __init__(self, case, folder):
        self.case = case
        self.folder = Folder(case, folder)

    def limit(self):
        return self.case.seconds

    def start(self):
        self.folder.make()
        self.baseline = _kib("VmRSS")
        super().start()

    def work(self):
        os.chdir(self.folder.path)
        forks.redirect(self.folder.out, self.folder.err)
        os.environ.update(self.case.environment)
        if self.case.shell:
            path = pathlib.Path(sys.executable).parent
            os.environ["PATH"] = f"{path}{os.pathsep}{os.environ['PATH']}"
            os.environ["TRAINING"] = str(TRAINING)
            os.execlp("bash", "bash", "-c", self.case.shell)
        name, *arguments = self.case.command.split(" ")
        script = name if name.startswith("./") else str(TRAINING / name)
        forks.run_script([script, *arguments])

    def outcomes(self):
        outcome = Outcome(
            code=self.code,
            text=self.folder.text(),
            harm=self.folder.harm(),
            mib=max(0, self.usage.ru_maxrss - self.baseline) / 1024,
            seconds=time.monotonic() - self.began,
            cpu_seconds=self.usage.ru_utime + self.usage.ru_stime,
            hangs=self.hangs,
        )
        if self.code in self.case.expected.codes:
            outcome.wrong = self.folder.check()
        self.folder.remove()
        return [(self.case, outcome)]


class Snippets(Job):
    """Cases that are snippets, one after the other in one process."""

    def __init__(self, cases, folder):
        self.cases = cases
        self.base = folder
        self.report = folder / f"{_slug(cases[0].name)}.jsonl"

    def limit(self):
        return self.cases[self.done].seconds

    def has_ended(self):
        done = len(self._lines())
        if done > self.done:
            self.done = done
            self.progressed()
        if done < len(self.cases):
            return super().has_ended()
        self.kill()
        os.waitpid(self.pid, 0)
        return True

    def start(self):
        self.done = 0
        super().start()

    def work(self):
        for case in self.cases:
            outcome = _run_snippet(case, self.base)
            with open(self.report, "a") as file:
                file.write(json.dumps(vars(outcome)) + "\n")
        time.sleep(60)  # until it is told that this is known

    def _lines(self):
        if not self.report.exists():
            return []
        text = self.report.read_text()
        return text[: text.rfind("\n") + 1].splitlines()

    def outcomes(self):
        found = [Outcome(**json.loads(line)) for line in self._lines()]
        if len(found) < len(self.cases):
            folder = Folder(self.cases[len(found)], self.base)
            found.append(
                Outcome(
                    code=self.code,
                    text=folder.text(),
                    harm=folder.harm(),
                    mib=max(0, self.usage.ru_maxrss - _kib("VmRSS")) / 1024,
                    seconds=time.monotonic() - self.since,
                    hangs=self.hangs,
                )
            )
        return list(zip(self.cases, found))

    def rest(self):
        rest = self.cases[len(self._lines()) + 1 :]
        return [Snippets(rest, self.base)] if rest else []


def _run_snippet(case, base):
    """Runs a snippet in this process, in its folder."""
    folder = Folder(case, base)
    folder.make()
    forks.redirect(folder.out, folder.err)
    os.chdir(folder.path)
    before = _peak_kib()
    outcome, began, cpu = Outcome(), time.monotonic(), time.process_time()
    try:
        exec(case.snippet, material.names())
    except material.WrongAnswer as error:
        outcome.wrong = str(error)
    except Exception as error:
        outcome.error = [each.__name__ for each in type(error).__mro__]
        outcome.text = str(error)
    outcome.seconds = time.monotonic() - began
    outcome.cpu_seconds = time.process_time() - cpu
    outcome.mib = max(0, _kib("VmHWM") - before) / 1024
    outcome.harm = folder.harm()
    os.chdir(base)
    folder.remove()
    return outcome


class Folder:
    """Where a case happens."""

    def __init__(self, case, base):
        self.case = case
        self.path = base / _slug(case.name)
        self.digests = base / f"{_slug(case.name)}.json"
        self.out = base / f"{_slug(case.name)}.out"
        self.err = base / f"{_slug(case.name)}.err"

    def make(self):
        self.path.mkdir()
        trees.plant(self.path)
        with material.inside(self.path):
            exec(self.case.setup, material.names())
        temporary = self.digests.with_suffix(".partial")
        temporary.write_text(json.dumps(trees.digests(self.path)))
        temporary.rename(self.digests)

    def harm(self):
        """What happened to the user's files since `make`."""
        if not self.digests.exists():
            return []
        before = json.loads(self.digests.read_text())
        after = trees.digests(self.path)
        return trees.harm(before, after, self.case.writes)

    def check(self):
        """What is wrong by the case's check; the empty string if nothing."""
        check = self.case.expected.check
        with material.inside(self.path):
            try:
                if eval(check, material.names()):
                    return ""
            except Exception as error:
                return f"{check}: {type(error).__name__}: {error}"
        return f"not so: {check}"

    def text(self):
        return self.err.read_text(errors="replace") if self.err.exists() else ""

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)


def _cpu_seconds(session):
    """What the processes of a session that live have used."""
    ticks = 0
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[3]) == session:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _peak_kib():
    """Memory of this process; from now on the peak is counted anew."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return _kib("VmHWM")


def _kib(name):
    with open("/proc/self/status") as file:
        return int(re.search(rf"{name}:\s+(\d+)", file.read()).group(1))


def _slug(name):
    """A name for files, of which no two cases have the same."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:80]
    return f"{words}-{zlib.crc32(name.encode()):08x}"
