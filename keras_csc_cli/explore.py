"""Opens a page to look inside a trained model."""

import contextlib
import os
import socket
import tempfile
import threading
import types

from keras_csc_cli import building
from keras_csc_cli import train_options
from keras_csc_cli.checked_flags import values
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.command_line import usage_errors
from keras_csc_cli.interruption import Interrupted
from keras_csc_cli.options import EXPLORE
from keras_csc_cli.options import name_of

from absl import flags

from keras_csc import data
from keras_csc.explorer import examples_of
from keras_csc.explorer import warm_up
from keras_csc.terminal import say

USER_ERRORS = (OSError, data.DataError)
FOLDER = "GRADIO_TEMP_DIR"


def run(preset, *, dataset=None, data_dir=None, port=None, browser=True):
    """Serves the page of a model until the process is stopped.

    Args: as the flags.
    """
    with _own_folder():
        page = _page()
        check_port(port)
        model, name, trained = opened(preset)
        source = building.source_of(
            model, trained, "test", dataset=dataset, data_dir=data_dir
        )
        with usage_errors():
            examples = examples_of(model, source)
        say("Warming up ...")
        warm_up(model, examples)
        blocks = page.build(model, name, examples)
        url = page.serve(blocks, port, browser)
        print(f"Explorer of {name}: {url} (Ctrl-C ends it)", flush=True)
        try:
            threading.Event().wait()
        except Interrupted as stopped:
            raise Interrupted(
                stopped.signal_number, "the explorer is closed", advice=""
            ) from None
        finally:
            blocks.close(verbose=False)


def check_port(port):
    """For a port that is taken."""
    try:
        if port is not None:
            socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise UsageError(
            f"--port={port} can't be used: {error.strerror}. Choose another, "
            "or leave it out."
        ) from error


@contextlib.contextmanager
def _own_folder():
    """What Gradio writes goes to a folder of this process, or the user's.

    Its own, `gradio` in the folder of temporary files, belongs to whoever was
    first on the machine. It reads the name when it is imported.
    """
    if os.environ.get(FOLDER):
        yield
        return
    with tempfile.TemporaryDirectory(
        prefix="keras-csc-explorer-", ignore_cleanup_errors=True
    ) as folder:
        os.environ[FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[FOLDER]


def _page():
    """The module that builds the page, and imports Gradio."""
    # Gradio is not to tell anyone that it is used.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    try:
        from keras_csc.explorer import page
    except ImportError as error:
        raise UsageError(
            f"the explorer needs {error.name}: pip install "
            "'keras-csc[explore]'."
        ) from error
    return page


def opened(preset):
    """The model of a preset or a run, its name, and options of its training."""
    is_run = os.path.isfile(os.path.join(preset, "flags.json"))
    where = (preset, None) if is_run else (None, preset)
    model, card = building.opened(*where)
    name = name_of(types.SimpleNamespace(workdir=where[0], preset=where[1]))
    trained = train_options.parse([])  # of a preset, the examples that ship
    if is_run:
        trained = building.options_of(*where, card)
    return model, name, trained


def main():
    options = values(EXPLORE.sections, flags.FLAGS)
    run(**vars(options))
