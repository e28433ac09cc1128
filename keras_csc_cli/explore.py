"""Opens a page to look inside a trained model."""

import contextlib
import os
import pathlib
import tempfile
import threading

from keras_csc_cli import building
from keras_csc_cli import command_line
from keras_csc_cli import train_options
from keras_csc_cli.command_line import usage_errors
from keras_csc_cli.interruption import Interrupted
from keras_csc_cli.missing import preset_name
from keras_csc_cli.options import EXPLORE
from keras_csc_cli.workdir import Workdir

from absl import flags

from keras_csc import data
from keras_csc.explorer import examples_of
from keras_csc.explorer import warm_up
from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.terminal import say

USER_ERRORS = (OSError, data.DataError)
FOLDER = "GRADIO_TEMP_DIR"


def run(preset, *, dataset=None, data_dir=None, port=None, browser=True):
    """Serves the page of a model until the process is stopped.

    Args: as the flags.
    """
    model, name, recorded = opened(preset)
    source = images_of(model, recorded, dataset, data_dir)
    with usage_errors():
        examples = examples_of(model, source)
    with _own_folder():
        _serve(model, name, examples, port, browser)


def _serve(model, name, examples, port, browser):
    page = _page()
    say("Warming up ...")
    warm_up(model, examples)
    blocks = page.build(model, name, examples)
    url = page.serve(blocks, port, browser)
    print(f"Explorer of {name}: {url} (Ctrl-C ends it)", flush=True)
    try:
        threading.Event().wait()
    except Interrupted as stopped:
        number = stopped.signal_number
        raise Interrupted(number, "the explorer is closed", advice="") from None
    finally:
        blocks.close(verbose=False)


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
    from keras_csc.explorer import page

    return page


def opened(preset):
    """The model of a preset or a run.

    Returns:
        `(model, name, options)`, with the options of the run, or `None`.
    """
    folder = pathlib.Path(preset)
    if not (folder / "flags.json").is_file():
        with usage_errors():
            model = ClosedLoopAutoencoder.from_preset(preset)
        return model, preset_name(preset), None
    workdir = Workdir(preset, create=False, hold=False)
    options = train_options.replaced(workdir.options(), {"download": False})
    model = building.trained_model(workdir.path)
    return model, workdir.path.resolve().name, options


def images_of(model, recorded, dataset=None, data_dir=None):
    """The test split of a data set, by default that of the run.

    Args:
        model: the autoencoder.
        recorded: options of its run, or `None` of a preset.
        dataset, data_dir: as of `run`.

    Returns:
        A source, or `None` where no data set is known or that of the run is
        not there any more.

    Raises:
        DataError: if a data set that was given can't be read.
    """
    given = {"dataset": dataset, "data_dir": data_dir}
    given = {name: value for name, value in given.items() if value is not None}
    options = train_options.replaced(recorded or train_options.parse([]), given)
    if options.dataset is None:
        return None
    try:
        return building.Splits(options, model)["test"]
    except data.DataError as error:
        if given:
            raise
        say(
            f"The images of the run are not there: {error} Others are shown; "
            "--dataset and --data_dir choose."
        )
        return None


def main():
    options = command_line.values(EXPLORE.sections, flags.FLAGS)
    run(**vars(options))
