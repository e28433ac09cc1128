"""What a case is, and what is expected of it."""

import dataclasses

REFUSED = ("ValueError",)
IN_GRAPH = ("ValueError", "InvalidArgumentError")


@dataclasses.dataclass(frozen=True)
class Expected:
    """How a case has to end.

    Args:
        codes: exit codes of a command.
        errors: names of the exceptions of a snippet; `None` stands for none.
        says: regular expression that the line or the message has to match.
        check: Python expression over what `material` has, true of the folder
            in which a command has ended.
        notices: lines that may stand before the one that refuses.
    """

    codes: tuple = (0,)
    errors: tuple = (None,)
    says: str = ""
    check: str = "True"
    notices: int = 0

    @property
    def refuses(self):
        """Whether the only right end is to refuse."""
        return 0 not in self.codes and None not in self.errors


def refused(says, errors=REFUSED, notices=0):
    """A mistake: one line that names it, exit code 2, or an exception."""
    return Expected((2,), errors, says, notices=notices)


def works(check="True", says=""):
    return Expected(check=check, says=says)


def either(says="", errors=IN_GRAPH, check="True"):
    """It works or is refused, and says so; only harm is wrong."""
    return Expected((0, 2), (None, *errors), says, check, notices=3)


def stopped(code, says):
    """Ended by a signal, with one line."""
    return Expected((code,), says=says)


@dataclasses.dataclass(frozen=True)
class Case:
    """One thing that a user does.

    It is done in a folder of its own with files of the user's, such as
    `.git/` and `.env`. None of them may change.

    Args:
        name: str, unique.
        expected: `Expected`.
        command: a script of `training/` and its arguments, by spaces; or a
            script `./NAME` that the set-up wrote.
        shell: a line for bash; `$TRAINING` is the folder of the scripts.
        snippet: lines of Python, with the names of `material`.
        setup: the same, run beforehand, where the case is to happen.
        environment: dict of variables.
        writes: the names that a command may make, with all below them.
        seconds: float, after which it hangs.
        cpu_seconds: float, within which a mistake must be refused.
        worst: bool, whether the test suite has it, too.
    """

    name: str
    expected: Expected
    command: str = ""
    shell: str = ""
    snippet: str = ""
    setup: str = ""
    environment: dict = dataclasses.field(default_factory=dict)
    writes: tuple = ("run", "saved_models", "presets", "classifiers", "out")
    seconds: float = 60.0
    cpu_seconds: float = 5.0
    worst: bool = False

    @property
    def group(self):
        """The first word of the name."""
        return self.name.partition(":")[0]
