"""What was wrong with the end of a case, if anything."""

import dataclasses
import re

MOST_MIB = 1024  # above a process that has imported everything
TRACEBACK = "Traceback (most recent call last)"
RAW = re.compile(r"{{function_node|{{node|\[Op:|Graph execution error")
FINE = "ok"
# From the worst to the least; all but the last are failures.
VERDICTS = (
    "lost file",
    "hang",
    "abort",
    "memory",
    "wrong answer",
    "traceback",
    "silence",
    "exit code",
    "unclear",
    "raw message",
    "lines",
    "slow",
    FINE,
)


@dataclasses.dataclass
class Outcome:
    """How a case ended.

    Args:
        code: int, exit code of a command, or minus the signal that a process
            died of; `None` of a snippet that ended.
        error: list of the names of the class of a snippet's exception and of
            its bases; `None` without one.
        text: str, the message of the exception, or standard error.
        wrong: str, what `expect` or a check found to be wrong.
        harm: list of str, what happened to the user's files.
        mib: float, peak of the memory, above that of the imports.
        seconds: float, wall time.
        cpu_seconds: float.
        hangs: bool, whether it was ended because it took too long.
    """

    code: int | None = None
    error: list | None = None
    text: str = ""
    wrong: str = ""
    harm: list = dataclasses.field(default_factory=list)
    mib: float = 0.0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    hangs: bool = False

    @property
    def lines(self):
        return [line for line in self.text.splitlines() if line.strip()]


def verdict(case, outcome):
    """One of `VERDICTS`, and a phrase that says why."""
    for found, reason in _failures(case, outcome):
        return found, reason
    return FINE, ""


def _failures(case, outcome):
    """Pairs of a verdict and its reason, the worst first."""
    expected = case.expected
    if outcome.harm:
        yield "lost file", "; ".join(outcome.harm[:3])
    if outcome.hangs:
        yield "hang", f"after {case.seconds:.0f} s"
    if outcome.code is not None and outcome.code < 0:
        if outcome.code not in expected.codes:
            yield "abort", f"signal {-outcome.code}"
    if outcome.mib > MOST_MIB:
        yield "memory", f"{outcome.mib:.0f} MiB more than the imports"
    if outcome.wrong:
        yield "wrong answer", outcome.wrong
    if case.snippet:
        yield from _of_snippet(expected, outcome)
    else:
        yield from _of_command(expected, outcome)
    if expected.refuses and outcome.cpu_seconds > case.cpu_seconds:
        yield "slow", f"{outcome.cpu_seconds:.1f} s of CPU to refuse"


def _of_command(expected, outcome):
    last = outcome.lines[-1] if outcome.lines else ""
    if TRACEBACK in outcome.text:
        yield "traceback", last
    if outcome.code not in expected.codes:
        found = "silence" if outcome.code == 0 else "exit code"
        yield found, f"{outcome.code}: {last}"
    if outcome.code and not outcome.lines:
        yield "silence", f"exit code {outcome.code} without a line"
    if not re.search(expected.says, outcome.text):
        found = "unclear" if outcome.lines else "silence"
        yield found, f"no {expected.says!r} in: {last}"
    if RAW.search(outcome.text):
        yield "raw message", last
    if outcome.code == 2 and len(outcome.lines) > 1 + expected.notices:
        yield "lines", f"{len(outcome.lines)}: {outcome.lines[0]}"


def _of_snippet(expected, outcome):
    if outcome.error is None:
        if None not in expected.errors:
            yield "silence", "nothing was raised"
        return
    if not set(outcome.error) & set(expected.errors):
        yield "traceback", f"{outcome.error[0]}: {outcome.lines[:1]}"
    if not re.search(expected.says, outcome.text):
        yield "unclear", f"no {expected.says!r} in: {outcome.text[:200]}"
    if outcome.error[0] == "ValueError" and RAW.search(outcome.text):
        yield "raw message", outcome.text[:200]
