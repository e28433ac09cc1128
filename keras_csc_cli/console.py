"""The commands of the console, which are the scripts of `training/`, too."""

import importlib
import os
import sys
from importlib import metadata

from keras_csc_cli import command_line
from keras_csc_cli import interruption
from keras_csc_cli.options import COMMANDS


def main():
    """`keras-csc COMMAND FLAGS`: runs a command."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name == "help" or name in command_line.HELP:
        command_line.show(usage())
    elif name in ("--version", "-version", "version"):
        command_line.show(version())
    elif name in COMMANDS:
        # What the process is called, in its messages and in its records.
        sys.argv[:2] = [f"keras-csc {name}"]
        run(name)
    else:
        print(
            f"keras-csc: there is no command {name!r}. It has "
            f"{', '.join(COMMANDS)}; --help says what they do.",
            file=sys.stderr,
        )
        sys.exit(2)


def run(name):
    """Runs a command with the process's arguments as its flags."""
    # Signals and flags first: TensorFlow takes seconds to import.
    options = begin(name)
    module, _, function = COMMANDS[name].main.partition(".")
    work = getattr(importlib.import_module(f"keras_csc_cli.{module}"), function)
    command_line.run(lambda: work(options), user_errors())


def user_errors():
    """Errors that a command tells in one line: their messages are clear."""
    from keras_csc.callbacks import CheckpointError
    from keras_csc.callbacks import NonFiniteError

    told = ImportError, OSError, ValueError  # an extra, a file, a value
    return (CheckpointError, NonFiniteError, *told)


def usage():
    """What `keras-csc --help` prints."""
    lines = ["keras-csc COMMAND --FLAG=VALUE ...", ""]
    for name, command in COMMANDS.items():
        about = command.description.partition("\n")[0]
        lines.append(f"  {name:16}{about}")
    lines += ["", "keras-csc COMMAND --help lists the flags of a command."]
    return "\n".join(lines)


def version():
    """Version of the package: the installed one is known without Keras."""
    try:
        return metadata.version("keras-csc")
    except metadata.PackageNotFoundError:
        return importlib.import_module("keras_csc").__version__


def begin(name):
    """Makes a process the script's, before anything is imported for it.

    From here on signals are obeyed. Flags are parsed, and `--help` and mistakes
    are answered without TensorFlow. Then TensorFlow is imported, without the
    start-up messages that no log level silences.

    Returns:
        The options of the command.
    """
    _open_streams()
    interruption.install(starting=True)
    options = command_line.parse(COMMANDS[name])
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend != "tensorflow":
        command_line.fail(
            "training, evaluation and export need Keras's backend tensorflow, "
            f"and the environment variable KERAS_BACKEND is {backend!r}. "
            "Unset it."
        )
    os.environ["KERAS_BACKEND"] = backend
    # First: it imports TensorFlow, whose messages it leaves out.
    importlib.import_module("keras_csc")
    import keras

    # Whatever the user's own keras.json says.
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
    return options


def _open_streams():
    """Readies the standard streams.

    Streams that a parent closed are opened: else files would get their numbers.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number
            setattr(sys, name, open(number, "r+" if number else "r"))
    for stream in (sys.stdout, sys.stderr):
        # A character that an encoding lacks is shown as its number, no error.
        if getattr(stream, "errors", None) == "strict":
            stream.reconfigure(errors="backslashreplace")
