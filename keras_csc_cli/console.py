"""The commands of the console, which are the scripts of `training/`, too."""

import argparse
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from importlib import metadata

from keras_csc_cli import interruption

MOST_WORKERS = 64
PATIENCE = 60.0  # seconds
# The function of each command, by its module, and what it does.
COMMANDS = {
    "train": ("train.train", "Trains an autoencoder, or goes on training it."),
    "evaluate": ("evaluate.main", "Evaluates a trained one again."),
    "export": ("export.main", "Exports a trained one as a SavedModel."),
    "report": ("pages.report", "Makes a page of what a trained one does."),
    "explore": ("pages.explore", "Opens a page to look inside a trained one."),
    "restore": ("restore.main", "Restores photographs: noise, blur, ..."),
    "local_workers": (None, "Trains with several processes on this machine."),
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
        local_workers()
    # Signals and flags first: TensorFlow takes seconds to import.
    options = begin(name)
    module, _, main = COMMANDS[name][0].partition(".")
    command = importlib.import_module(f"keras_csc_cli.{module}")
    command_line = importlib.import_module("keras_csc_cli.command_line")
    command_line.run(lambda: getattr(command, main)(options), user_errors())


def user_errors():
    """What a command tells in one line: the library says what is wrong."""
    from keras_csc.callbacks import CheckpointError
    from keras_csc.callbacks import NonFiniteError

    told = ImportError, OSError, ValueError  # an extra, a file, a value
    return (CheckpointError, NonFiniteError, *told)


def usage():
    """What `keras-csc --help` prints."""
    lines = ["keras-csc COMMAND --FLAG=VALUE ...", ""]
    lines += [f"  {name:15}{text}" for name, (_, text) in COMMANDS.items()]
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

    Returns:
        Its options.
    """
    _open_streams()
    interruption.install(starting=True)
    from keras_csc_cli import command_line

    module = "train_options" if name == "train" else "options"
    known = importlib.import_module(f"keras_csc_cli.{module}").COMMANDS
    options = command_line.parse(known[name])
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend != "tensorflow":
        command_line.fail(
            "training, evaluation and export need Keras's backend tensorflow, "
            f"and the environment variable KERAS_BACKEND is {backend!r}. "
            "Unset it."
        )
    os.environ["KERAS_BACKEND"] = backend
    _import_tensorflow()
    return options


def _open_streams():
    """Readies the standard streams.

    What a parent has closed is opened: else files would get these numbers.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number
            setattr(sys, name, open(number, "r+" if number else "r"))
    for stream in (sys.stdout, sys.stderr):
        # What an encoding has not is shown as its number, and is no error.
        if getattr(stream, "errors", None) == "strict":
            stream.reconfigure(errors="backslashreplace")


def _import_tensorflow():
    """Imports TensorFlow, whose messages go nowhere unless it fails."""
    sys.stderr.flush()
    kept, messages = os.dup(2), os.memfd_create("messages")
    os.dup2(messages, 2)
    try:
        import keras
        import tensorflow as tf

        tf.config.list_physical_devices()
    except BaseException:
        os.write(kept, os.pread(messages, 2**20, 0))
        raise
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(messages)
    # Whatever the user's own keras.json says.
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")


# === Several workers on this machine ===


WORKERS = """Trains with several worker processes on this machine, on its CPU.

    keras-csc local_workers --workers=2 -- --flagfile=digits.flags

Runs `train --strategy=multi_worker` with the flags after `--` in so many
processes, each with its own TF_CONFIG: a rehearsal of a run on several
machines. Ctrl-C and SIGTERM are passed on. When a worker fails, the others end
by themselves within a minute or are ended then. The exit code is that of the
first worker that failed, or 0.
"""


def local_workers():
    """Runs `train` in several processes, and ends as they end."""
    parser = argparse.ArgumentParser(
        description=WORKERS, formatter_class=argparse.RawTextHelpFormatter
    )
    count = {"type": int, "default": 2, "choices": range(1, MOST_WORKERS + 1)}
    parser.add_argument("--workers", metavar="N", help="processes", **count)
    parser.add_argument("flags", nargs="*", help="flags of train, after --")
    options = parser.parse_args()
    addresses = [f"127.0.0.1:{port}" for port in free_ports(options.workers)]
    command = [sys.executable, "-m", "keras_csc_cli", "train", *options.flags]
    processes = []

    def pass_on(number, frame=None):
        for process in processes:
            process.send_signal(number)

    for number in interruption.NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, pass_on)
    for index in range(options.workers):
        processes.append(
            subprocess.Popen(
                [*command, "--strategy=multi_worker"],
                env={**os.environ, **environment(addresses, index)},
                start_new_session=True,
            )
        )
    first, last = 0, float("inf")
    while None in (codes := [process.poll() for process in processes]):
        first = first or next(filter(None, codes), 0)
        last = min(last, time.monotonic() + PATIENCE) if first else last
        if time.monotonic() > last:
            pass_on(signal.SIGKILL)
        time.sleep(0.1)
    first = first or next(filter(None, codes), 0)
    sys.exit(128 - first if first < 0 else first)


def environment(addresses, index):
    """What the environment of a worker differs in."""
    config = {
        "cluster": {"worker": addresses},
        "task": {"type": "worker", "index": index},
    }
    return {"TF_CONFIG": json.dumps(config), "CUDA_VISIBLE_DEVICES": ""}


def free_ports(count):
    """Ports that no process listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
