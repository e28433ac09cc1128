"""The commands of the console, which are the scripts of `training/`, too."""

import importlib
import os
import sys
from importlib import metadata

from keras_csc_cli import interruption

COMMANDS = {
    "train": "Trains an autoencoder, or goes on training it.",
    "evaluate": "Evaluates a trained one again.",
    "export": "Exports a trained one as a SavedModel.",
    "report": "Makes an HTML page of what a trained one is and does.",
    "explore": "Opens a page to look inside a trained one.",
    "restore": "Restores photographs: noise, missing pixels, blur, small size.",
    "local_workers": "Trains with several processes on this machine.",
}
HELP = ("-h", "--help", "-help", "--helpshort", "help")


def main():
    """`keras-csc COMMAND FLAGS`: runs a command."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in HELP:
        _show(usage())
    elif name in ("--version", "-version", "version"):
        _show(version())
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
    if name == "local_workers":
        interruption.install(starting=True)
        importlib.import_module("keras_csc_cli.local_workers").main()
        return
    # Signals and flags first: TensorFlow takes seconds to import.
    begin(name)
    command = importlib.import_module(f"keras_csc_cli.{name}")
    command_line = importlib.import_module("keras_csc_cli.command_line")
    command_line.run(command.main, user_errors=command.USER_ERRORS)


def usage():
    """What `keras-csc --help` prints."""
    lines = ["keras-csc COMMAND --FLAG=VALUE ...", ""]
    lines += [f"  {name:15}{text}" for name, text in COMMANDS.items()]
    lines += ["", "keras-csc COMMAND --help lists the flags of a command."]
    return "\n".join(lines)


def version():
    """Version of the package: the installed one is known without Keras."""
    try:
        return metadata.version("keras-csc")
    except metadata.PackageNotFoundError:
        return importlib.import_module("keras_csc").__version__


def _show(text):
    importlib.import_module("keras_csc_cli.command_line").show(text)


def begin(name):
    """Makes a process the script's, before anything is imported for it.

    From here on signals are obeyed. Flags are parsed: `--help` and mistakes
    are answered without TensorFlow, which is then imported without the
    start-up messages that no log level silences.

    Args:
        name: of the command.
    """
    _open_streams()
    interruption.install(starting=True)
    from keras_csc_cli import command_line

    module = "train_options" if name == "train" else "options"
    known = importlib.import_module(f"keras_csc_cli.{module}").COMMANDS
    command_line.parse(known[name])
    _check_backend(command_line.fail)
    _import_tensorflow(command_line.fail)


def _open_streams():
    """Readies the standard streams.

    What a parent has closed is opened: else files would get these numbers.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, open(number, "r+" if number else "r"))
    for stream in (sys.stdout, sys.stderr):
        # What an encoding has not is shown as its number, and is no error.
        if getattr(stream, "errors", None) == "strict":
            stream.reconfigure(errors="backslashreplace")


def _check_backend(fail):
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend != "tensorflow":
        fail(
            "training, evaluation and export need Keras's backend tensorflow, "
            f"and the environment variable KERAS_BACKEND is {backend!r}. "
            "Unset it."
        )
    os.environ["KERAS_BACKEND"] = backend


def _import_tensorflow(fail):
    """Imports TensorFlow, whose messages go nowhere unless it fails."""
    import tempfile

    try:
        file = tempfile.TemporaryFile()
    except OSError as error:
        fail(
            "TensorFlow needs a folder for temporary files, and none can be "
            f"written: {error.strerror}. Make room, or name one that can in "
            "the environment variable TMPDIR."
        )
    sys.stderr.flush()
    kept = os.dup(2)
    with file as messages:
        os.dup2(messages.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
            reason = _import_keras()
        except BaseException:
            messages.seek(0)
            os.write(kept, messages.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
    if reason:
        fail(reason)


def _import_keras():
    """Imports Keras, without what its own file of settings would change.

    Returns:
        What is wrong with that file, or `None`.
    """
    try:
        import keras
    except Exception as error:
        home = os.environ.get("KERAS_HOME", os.path.expanduser("~/.keras"))
        return (
            f"Keras can't be imported ({type(error).__name__}: {error}). "
            f"Mend or remove its settings in {home}/keras.json."
        )
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
