"""The commands of the console, which are the scripts of `training/`, too."""

import importlib
import sys
from importlib import metadata

from keras_csc_cli import interruption
from keras_csc_cli import starting

COMMANDS = {
    "train": "Trains an autoencoder, or goes on training it.",
    "evaluate": "Evaluates a trained one again.",
    "export": "Exports a trained one as a SavedModel.",
    "restore": "Restores photographs: noise, missing pixels, blur, small size.",
    "local_workers": "Trains with several processes on this machine.",
}
HELP = ("-h", "--help", "-help", "--helpshort", "help")


def main():
    """`keras-csc COMMAND FLAGS`: runs a command."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in HELP:
        print(usage())
    elif name in ("--version", "-version", "version"):
        print(version())
    elif name in COMMANDS:
        # What the process is called, in its messages and in its records.
        sys.argv[:2] = [f"keras-csc {name}"]
        run(name)
    else:
        sys.exit(_unknown(name))


def run(name):
    """Runs a command with the process's arguments as its flags."""
    if name == "local_workers":
        interruption.install(starting=True)
        importlib.import_module("keras_csc_cli.local_workers").main()
        return
    # Signals and flags first: TensorFlow takes seconds to import.
    starting.begin(f"keras_csc_cli.{name}_options")
    command = importlib.import_module(f"keras_csc_cli.{name}")
    command_line = importlib.import_module("keras_csc_cli.command_line")
    command_line.run(command.main, user_errors=command.USER_ERRORS)


def usage():
    """What `keras-csc --help` prints."""
    lines = ["keras-csc COMMAND --FLAG=VALUE ...", ""]
    width = max(map(len, COMMANDS)) + 2
    lines += [f"  {name:{width}}{text}" for name, text in COMMANDS.items()]
    lines += ["", "keras-csc COMMAND --help lists the flags of a command."]
    return "\n".join(lines)


def version():
    """Version of the package: the installed one is known without Keras."""
    try:
        return metadata.version("keras-csc")
    except metadata.PackageNotFoundError:
        return importlib.import_module("keras_csc").__version__


def _unknown(name):
    print(
        f"keras-csc: there is no command {name!r}. It has "
        f"{', '.join(COMMANDS)}; --help says what they do.",
        file=sys.stderr,
    )
    return 2
