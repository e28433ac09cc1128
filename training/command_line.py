"""How the scripts meet their user: flag files, errors, exit codes."""

import contextlib
import os
import pathlib
import signal
import sys

from absl import app
from absl import flags
from absl import logging

FLAG_FILES = pathlib.Path(__file__).parent / "flags"


class UsageError(Exception):
    """A mistake of the user's; the message is one clear line."""


class Interrupted(KeyboardInterrupt):
    """The process was told to stop by a signal.

    Args:
        signal_number: int.
        state: str, what stands and is saved.
    """

    def __init__(self, signal_number, state="stopped"):
        super().__init__(f"{signal.Signals(signal_number).name}: {state}.")
        self.signal_number = signal_number


def run(main, user_errors=()):
    """Runs `main()` with the process's arguments as absl flags.

    SIGTERM and Ctrl-C raise an `Interrupted`, which ends the process with one
    line and the exit code 143 or 130.

    Args:
        main: function of no arguments.
        user_errors: exceptions, besides `UsageError`, whose message is for
            the user: it is printed, without a trace, and the exit code is 2,
            or the exception's own `exit_code`.
    """
    errors = (UsageError, *user_errors)

    def guarded(argv):
        try:
            main()
        except errors as error:
            if logging.level_debug():
                raise
            fail(error)
        except Interrupted as interruption:
            _end_lines()
            print(
                f"{interruption} Run the same command again to go on.",
                file=sys.stderr,
            )
            sys.exit(128 + interruption.signal_number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    logging.set_verbosity(logging.WARNING)
    app.run(guarded, flags_parser=_parse)


@contextlib.contextmanager
def usage_errors():
    """Within the context, a `ValueError` is a mistake of the user's."""
    try:
        yield
    except ValueError as error:
        raise UsageError(str(error)) from error


def _interrupt(number, frame):
    raise Interrupted(number)


def fail(error):
    """Prints an error in one line and exits with code 2 or its own."""
    _end_lines()
    sys.stdout.flush()
    line = " ".join(str(error).split())
    print(f"{program()}: {line}", file=sys.stderr)
    sys.exit(getattr(error, "exit_code", 2))


def _end_lines():
    """Ends progress lines, without an import of what may not be needed."""
    terminal = sys.modules.get("keras_csc.terminal")
    if terminal:
        terminal.end_lines()


def program():
    return os.path.basename(sys.argv[0])


def _parse(argv):
    try:
        rest = flags.FLAGS(resolve_flag_files(argv))
        if len(rest) > 1:
            raise UsageError(
                f"unexpected argument {rest[1]!r}. Flags are written "
                "--name=value; --help lists them."
            )
        return rest
    except flags.Error as error:
        fail(f"{error}. --help lists the flags.")
    except UsageError as error:
        fail(error)


def resolve_flag_files(argv):
    """Finds bare names of flag files in `training/flags/`.

    Args:
        argv: list of arguments.

    Returns:
        The list, with `--flagfile=NAME` replaced by the file's path.

    Raises:
        UsageError: for a flag file that does not exist.
    """
    resolved = list(argv)
    for index, argument in enumerate(argv):
        name, _, value = argument.partition("=")
        if name not in ("--flagfile", "-flagfile"):
            continue
        if not value and index + 1 < len(argv):
            resolved[index + 1] = _flag_file(argv[index + 1])
        else:
            resolved[index] = f"--flagfile={_flag_file(value)}"
    return resolved


def flag_file_name(argv):
    """Name, without folder and ending, of the first flag file; or `None`."""
    for argument, after in zip(argv, [*argv[1:], ""]):
        name, _, value = argument.partition("=")
        if name in ("--flagfile", "-flagfile"):
            return pathlib.Path(value or after).stem
    return None


def _flag_file(name):
    for path in (pathlib.Path(name), FLAG_FILES / name):
        if path.is_file():
            return str(path)
    known = ", ".join(sorted(p.name for p in FLAG_FILES.glob("*.flags")))
    raise UsageError(
        f"there is no flag file {name!r}, here or in training/flags/, which "
        f"has {known}."
    )
