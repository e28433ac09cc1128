"""Draws what the runs of a study make of test images, with one seed.

    python -m studies.regenerations --study=batches --data=digits --seed=1
        --data_dir=DATA

Of smaller batches only the best pairs of rates have a seed 1. Takes the models
that `studies/run.py` trained below --runs. Writes
docs/pictures/regenerations_STUDY_DATA.png, with a test image of every class in
the first row, and a row for each run. `studies/page.py` shows it.
"""

import pathlib

from keras_csc_cli import command_line
from keras_csc_cli.building import Splits

import numpy as np
from absl import flags

from keras_csc import data
from keras_csc.pixels import from_pixels
from keras_csc.visualization import comparison_grid
from keras_csc.visualization import save_png
from studies import measure
from studies import plan
from studies.page import picture_of


def draw(runs, folder, data_dir):
    """The picture of runs on one data set, an array of pixels."""
    rows = {}
    for run in runs:
        options = measure.options_of(run, folder / run.key, data_dir)
        splits = Splits(options)
        if not rows:
            images, labels = data.load_arrays(splits["test"], 200)
            _, first = np.unique(labels, return_index=True)
            images = from_pixels(images[first])
            rows["images"] = images
        make = measure.maker(run)
        model, _ = measure.trained(options, make, splits.num_classes)
        rows[run.name] = model.reconstruct(images)
    return comparison_grid(rows.values(), list(rows), len(images), scale=2)


def main():
    values = flags.FLAGS
    plan.check_some("study", [values.study], plan.STUDIES)
    runs = [
        run
        for run in plan.study(values.study).runs
        if (run.data, run.seed) == (values.data, values.seed)
    ]
    if not runs:
        raise command_line.UsageError(
            f"the study {values.study} has no runs of --data={values.data} "
            f"with --seed={values.seed}."
        )
    picture = draw(runs, pathlib.Path(values.runs), values.data_dir)
    save_png(picture_of(values.study, values.data), picture)


if __name__ == "__main__":
    flags.DEFINE_string("study", "batches", "Name of a study.")
    flags.DEFINE_string("data", "digits", "Data set of its runs.")
    flags.DEFINE_integer("seed", 0, "Seed of its runs.")
    flags.DEFINE_string("runs", "runs/studies", "Folder of the runs.")
    flags.DEFINE_string("data_dir", None, "Folder of TFDS's data sets.")
    command_line.run(main, user_errors=(data.DataError, OSError))
