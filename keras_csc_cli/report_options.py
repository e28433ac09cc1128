"""The flags of `report.py`, with their help texts."""

from keras_csc_cli import missing
from keras_csc_cli.evaluate_options import define_data

DESCRIPTION = """Makes one HTML page of what a model is and does.

    python training/report.py --workdir=runs/digits
    keras-csc report --preset=csc_ctrl_digits

The page is a file to send or to print: it needs no server and no network. Of a
run it is WORKDIR/report.html, of a preset NAME-report.html in the current
folder. It shows images of the data set of the training; where these are not at
hand, as of most presets, --dataset and --data_dir say where to find some, and
without them the page has the atoms and what else needs no images.
"""

FIRST = ("workdir", "preset", "output", "dataset", "data_dir", "split")


def _define_all(define):
    define.path("workdir", None, "Folder of a run.")
    define.path(
        "preset",
        None,
        "Name, folder or URI of a trained model, instead of --workdir.",
    )
    define.path(
        "output",
        None,
        "File to write, .html. What is there is replaced if it is a report.",
    )
    define_data(define)
    define.integer(
        "images",
        1000,
        "Most images that are passed through the model, drawn at random from "
        "the split.",
        lower_bound=1,
        upper_bound=100_000,
        why="all are held in memory",
    )


def check(options):
    """Raises `UsageError` for what is missing."""
    missing.check_one(options.workdir, options.preset)
    if options.preset is None:
        missing.check_run(options.workdir)
        missing.check_trained(options.workdir)
    else:
        missing.check_preset(options.preset)
    missing.check_images(options.dataset, options.data_dir)


SECTIONS = {"Report": _define_all}
