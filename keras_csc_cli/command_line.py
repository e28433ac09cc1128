"""How the scripts meet their user: flag files, errors, exit codes."""

import os
import pathlib
import re
import signal
import sys

from keras_csc_cli import interruption
from keras_csc_cli.checked_flags import define
from keras_csc_cli.checked_flags import help_text
from keras_csc_cli.checked_flags import values
from keras_csc_cli.interruption import Interrupted

from absl import app
from absl import flags
from absl import logging

HERE = pathlib.Path(__file__).parent
# In an installed package, and in the repository.
FLAG_FILES = next(
    folder
    for folder in (HERE / "flags", HERE.parent / "training" / "flags")
    if folder.is_dir()
)
OUT_OF_MEMORY = re.compile(
    r"(OOM when|out of memory|failed to allocate memory)[^\n]*", re.IGNORECASE
)
HELP = {"-h", "--h", "-help", "--help", "--helpshort", "--helpfull"}


class UsageError(ValueError):
    """A mistake of the user's; the message is one clear line."""


def run(main, user_errors=()):
    """Runs `main()` with the process's arguments as absl flags.

    SIGTERM, Ctrl-C and SIGHUP raise an `Interrupted`, which ends the process
    with one line and the exit code 143, 130 or 129.

    Args:
        main: function of no arguments.
        user_errors: exceptions, besides `UsageError`, whose message is for the
            user. It is printed without a trace, and the exit code is 2, or the
            exception's own `exit_code`. `--verbosity=1` shows the trace.
    """
    interruption.install()
    if not flags.FLAGS.is_parsed():
        app.define_help_flags()
        _parse(sys.argv)
    logging.set_verbosity(max(flags.FLAGS.verbosity, logging.WARNING))
    try:
        _guarded(main, (UsageError, *user_errors))
    except Interrupted as stopped:
        _print(stopped.line)
        sys.exit(128 + stopped.signal_number)
    sys.exit(0)


def _guarded(main, errors):
    """Calls `main`; an error after a signal counts as the signal's doing."""
    try:
        main()
        sys.stdout.flush()
        interruption.check()
    except Interrupted:
        raise
    except Exception as error:
        interruption.check()
        told = isinstance(error, errors) or _is_of_memory(error)
        if not told or logging.level_debug():
            raise
        fail(error)


def _is_of_memory(error):
    """Whether memory is short; TensorFlow's class is for full disks, too."""
    exhausted = type(error).__name__ == "ResourceExhaustedError"
    return isinstance(error, MemoryError) or (
        exhausted and bool(OUT_OF_MEMORY.search(error.message))
    )


def fail(error):
    """Prints an error in one line and exits with code 2 or its own."""
    try:
        sys.stdout.flush()
    except OSError:  # which Python would meet again at its end
        _mute(1)
    text = str(error)
    if _is_of_memory(error):
        match = OUT_OF_MEMORY.search(text)
        reason = (match[0] if match else text).rstrip(".")
        text = (
            f"there is not enough memory: {reason}. Take fewer or smaller "
            "images at a time, or a machine with more. What was saved before "
            "stands."
        )
    _print(f"{os.path.basename(sys.argv[0])}: {readable(text)}")
    sys.exit(getattr(error, "exit_code", 2))


def readable(error):
    """An error in one line, without the names of TensorFlow's nodes."""
    text = re.sub(r"{{.*?}} *| *\[Op:.*?\]|\[\[.*?\]\]", "", str(error))
    text = " ".join(text.split())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _print(line):
    # Ends progress lines, if the module that shows them was imported.
    terminal = sys.modules.get("keras_csc.terminal")
    try:
        if terminal:
            terminal.end_lines()
        # At once: several workers write to one standard error.
        print(f"{line}\n", end="", file=sys.stderr, flush=True)
    except OSError:  # nobody reads it
        _mute(2)


def show(text):
    """Prints what a command is asked for, such as its help."""
    # Ends as other programs do when nobody reads what they print.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    _guarded(lambda: print(text), OSError)


def _mute(stream):
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream)
    os.close(null)


def parse(command):
    """The options of the process's arguments; prints help that they ask for."""
    define(command.sections, flags.FLAGS)
    sys.argv[1:] = named(command, sys.argv[1:])
    if HELP & set(sys.argv[1:]):
        show(help_text(command, flags.FLAGS))
        sys.exit(0)
    _parse(sys.argv)
    try:
        options = values(command.sections, flags.FLAGS)
        check_needed(options, command.needed)
        if command.check:
            command.check(options)
    except UsageError as error:
        fail(error)
    return options


def check_needed(options, names):
    """Raises a `UsageError` for the first of these options without a value.

    Of alternatives, as `workdir|preset`, one has a value.
    """
    for name in names:
        alternatives = name.split("|")
        flags_of = " or ".join(f"--{n}" for n in alternatives)
        count = sum(getattr(options, n) is not None for n in alternatives)
        if count == 0:
            raise UsageError(
                f"{flags_of} is missing. --help says what it is, and a "
                "--flagfile may have it."
            )
        if count > 1:
            raise UsageError(f"give {flags_of}, not both.")


def named(command, arguments):
    """The arguments; the first gets a name if it has none."""
    if not command.unnamed or not arguments or arguments[0].startswith("-"):
        return arguments
    return [f"--{command.unnamed}={arguments[0]}", *arguments[1:]]


def _parse(argv):
    try:
        rest = flags.FLAGS(resolve_flag_files(argv))[1:]
    except flags.Error as error:
        fail(f"{str(error).rstrip('.')}. --help lists the flags.")
    except UsageError as error:
        fail(error)
    if rest:
        fail(
            f"unexpected argument {rest[0]!r}. Flags are written "
            "--name=value; --help lists them."
        )


def resolve_flag_files(argv, within=()):
    """Puts the flags of flag files in the place of `--flagfile=NAME`.

    Bare names are also found in `FLAG_FILES`. Flag files may name others.
    `within` are the paths of the files that the arguments are from.

    Raises:
        UsageError: for a flag file that does not exist, can't be read, is not
            a text, or names itself.
    """
    resolved = []
    rest = iter(argv)
    for argument in rest:
        name, _, value = argument.partition("=")
        if argument == "--":
            return [*resolved, argument, *rest]
        if name not in ("--flagfile", "-flagfile"):
            resolved.append(argument)
            continue
        path = _flag_file(value or next(rest, ""))
        try:
            if path in within:
                raise ValueError("it names itself")
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise UsageError(
                f"the flag file {path} can't be read: {error}. It must be a "
                "text in UTF-8 with a flag on every line, as --steps=1000."
            ) from error
        lines = filter(None, map(str.strip, lines))
        given = [line for line in lines if not line.startswith("#")]
        resolved += resolve_flag_files(given, (*within, path))
    return resolved


def _flag_file(name):
    for path in (pathlib.Path(os.path.expanduser(name)), FLAG_FILES / name):
        if os.path.isfile(path):
            return path.resolve()
    known = ", ".join(sorted(p.name for p in FLAG_FILES.glob("*.flags")))
    raise UsageError(
        f"there is no flag file {name!r}, neither here nor among those that "
        f"come with keras_csc: {known}."
    )


def flag_file_name(argv):
    """Name, without folder and ending, of the first flag file; or `None`."""
    for argument, after in zip(argv, [*argv[1:], ""]):
        name, _, value = argument.partition("=")
        if name in ("--flagfile", "-flagfile"):
            return pathlib.Path(value or after).stem
    return None
