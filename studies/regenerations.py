"""Draws what the study of smaller batches makes of test digits.

    python -m studies.regenerations

Takes the models that `studies/run.py --studies=batches` trained below --runs.
Writes docs/pictures/regenerations_batches_digits.png: a test image of every
class, and below them a row for each network and size, at its best rates.
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
from studies.page import PICTURE

SEED = 1  # which only the best pairs of rates have


def draw(runs, folder):
    """The picture of runs on digits, an array of pixels."""
    rows = {}
    for run in runs:
        options = measure.options_of(run, folder / run.key, None)
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
    runs = [run for run in plan.batches() if run.seed == SEED]
    save_png(PICTURE, draw(runs, pathlib.Path(flags.FLAGS.runs)))


if __name__ == "__main__":
    flags.DEFINE_string("runs", "runs/studies", "Folder of the runs.")
    command_line.run(main, user_errors=(data.DataError, OSError))
