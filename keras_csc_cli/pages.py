"""Pages of a trained model: one to send, and one to play with."""

import contextlib
import os
import sys
import tempfile
import threading
import webbrowser

from keras_csc_cli import building
from keras_csc_cli import records
from keras_csc_cli import train_options
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.interruption import Interrupted
from keras_csc_cli.options import is_run
from keras_csc_cli.options import name_of
from keras_csc_cli.workdir import Workdir

from keras_csc import data
from keras_csc.data.sources import READ_ERRORS
from keras_csc.explorer import examples_of
from keras_csc.report import MARK
from keras_csc.report import write_report
from keras_csc.terminal import say

PAGE = "report.html"


def source_of(model, trained, split, **given):
    """Images to show of a model.

    Args:
        model: the autoencoder.
        trained: the options that it was trained with.
        split: of the data set.
        **given: the user's options in the place of these, or `None`.

    Returns:
        A source, or `None` where the images of the training are not at hand,
        or no data set is known.

    Raises:
        DataError: if images that the user chose can't be read.
    """
    options = train_options.replaced(trained, download=False, **given)
    if not options.dataset:
        return None
    try:
        return building.Splits(options, model)[split]
    except data.DataError as error:
        if any(value is not None for value in given.values()):
            raise
        say(
            f"The images of the training are not at hand: {error} "
            "Choose some with --dataset and --data_dir."
        )
        return None


# === The report ===


def report(options):
    """Writes the page of a run or of a preset, and returns its path.

    Raises:
        DataError: if images that the options ask for are not there. Without
            `dataset` and `data_dir`, the page then has no images.
    """
    output, preset = options.output, options.preset
    name = name_of(options.workdir, preset)
    with contextlib.ExitStack() as stack:
        if preset is None:
            run = Workdir(options.workdir, create=False, hold=not output)
            stack.enter_context(run)
            trained = run.options()
            output = output or run.path / PAGE
        else:
            output = output or f"{name}-{PAGE}"
        path = records.check_output(output, MARK, "a report")
        model, card = building.opened(options.workdir, preset)
        if preset is not None:
            trained = train_options.of_card(preset, card)
        given = {"dataset": options.dataset, "data_dir": options.data_dir}
        dataset = options.dataset or trained.dataset
        source = source_of(model, trained, options.split, **given)
        write_report(
            path,
            model,
            name,
            card=records.without_paths(card),
            own_classes=not any(given.values()),
            **_images(source, options.images, dataset),
        )
    print(f"Report: {path}")
    return path


def _images(source, count, dataset):
    """Images to show, or why there are none, for `write_report`."""
    if source is None:
        return {
            "about": f"The data set {dataset or 'of its training'} was not at "
            "hand. Give images with --dataset and --data_dir."
        }
    # Some of many, chosen by a fixed seed.
    examples = source.epoch(seed=0).take(count).batch(count)
    try:
        shown, labels = next(examples.as_numpy_iterator())
    except READ_ERRORS:
        data.check_readable(source)
        raise
    return {
        "images": shown,
        "labels": labels,
        "class_names": source.class_names,
        "about": f"{len(shown):,} of the {source.size:,} images of the split "
        f"{source.split} of {dataset}.",
    }


# === The explorer ===


def explore(options):
    """Serves the page of a model until the process is stopped.

    What Gradio writes goes to a folder of this process, or the user's. Gradio's
    own, `gradio` in the folder of temporary files, belongs to whoever was first
    on the machine. Gradio reads the name when it is imported.
    """
    with tempfile.TemporaryDirectory(
        prefix="keras-csc-explorer-", ignore_cleanup_errors=True
    ) as folder:
        os.environ.setdefault("GRADIO_TEMP_DIR", folder)
        # Gradio is not to tell anyone that it is used.
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
        try:
            from keras_csc.explorer import page
        except ModuleNotFoundError as error:
            raise UsageError(
                f"this needs the package {error.name}: pip install "
                "'.[explore]' in a copy of the repository."
            ) from error
        model, name, trained, card = opened(options.preset)
        names = card.get("training", {}).get("class_names")
        given = {"dataset": options.dataset, "data_dir": options.data_dir}
        source = source_of(model, trained, "test", **given)
        examples = examples_of(model, source, class_names=names)
        say("Warming up ...")
        blocks = page.build(model, name, examples, names)
        url = page.serve(blocks, options.port)
        print(f"Explorer of {name}: {url} (Ctrl-C ends it)", flush=True)
        if sys.stdout.isatty():
            webbrowser.open(url)
        try:
            threading.Event().wait()
        except Interrupted as stopped:
            raise Interrupted(
                stopped.signal_number, "the explorer is closed", advice=""
            ) from None
        finally:
            blocks.close(verbose=False)


def opened(preset):
    """The model of a preset or a run, its name, its training and its card.

    The options of a preset have no data set: the page has examples that ship.
    """
    if is_run(preset):
        model, card = building.opened(preset, None)
        trained = Workdir(preset, create=False, hold=False).options()
        return model, name_of(preset, None), trained, card
    model, card = building.opened(None, preset)
    return model, name_of(None, preset), train_options.parse([]), card
