"""The flags of `explore.py`, with their help texts."""

import os
import socket

from keras_csc_cli import missing
from keras_csc_cli.command_line import UsageError

DESCRIPTION = """Opens a page on this machine to look inside a trained model.

    python training/explore.py csc_ctrl_digits
    keras-csc explore runs/digits

The model is the name of a trained one, a folder that save_to_preset wrote, the
folder of a run, or the URI of a hub. The page has an image's atoms and codes,
what becomes of it when these change, samples, and restored photographs. It
needs `pip install 'keras-csc[explore]'`, no network and no GPU, and only users
of this machine can open it. Ctrl-C ends it.
"""

FIRST = ("preset", "dataset", "data_dir")
# What an argument without a name is.
UNNAMED = "preset"


def _define_all(define):
    define.path(
        "preset",
        "csc_ctrl_digits",
        "Name, folder or URI of a trained model, or folder of a run; the "
        "name of the flag may be left out.",
    )
    define.string(
        "dataset",
        None,
        "Data set whose test images are to choose from. By default that of "
        "the run, or images that come with the package.",
    )
    define.path("data_dir", None, "Folder of the data set, as of train.")
    define.integer(
        "port",
        None,
        "Port on this machine. By default the first free one from 7860 on.",
        lower_bound=1024,
        upper_bound=65535,
    )
    define.boolean("browser", True, "Opens the page in the browser.")


def check(options):
    """Raises `UsageError` for what is missing, and a port that is taken."""
    missing.check_package("gradio", "the explorer", "explore")
    if options.port is not None:
        _check_port(options.port)
    if os.path.isfile(os.path.join(options.preset, "flags.json")):
        missing.check_trained(options.preset)
    else:
        missing.check_preset(options.preset)
    missing.check_images(options.dataset, options.data_dir)


def _check_port(port):
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise UsageError(
            f"--port={port} can't be used: {error.strerror}. Choose another, "
            "or leave it out."
        ) from error


SECTIONS = {"Explorer": _define_all}
