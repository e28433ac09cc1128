"""Draws what the weights of the multi-stage term make of test images.

    python -m studies.regenerations --data_dir=DATA

Takes the models that `studies/run.py --studies=front` trained below --runs.
Writes docs/pictures/regenerations_front_DATA.png for every set: a test image of
every class, and below them a row a run.
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
from studies.runs import SETS

PICTURES = pathlib.Path(__file__).parents[1] / "docs" / "pictures"


def draw(runs, folder, data_dir=None):
    """The picture of runs on a set, an array of pixels."""
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
    for name in SETS:
        runs = [run for run in plan.front() if run.data == name]
        picture = draw(runs, pathlib.Path(values.runs), values.data_dir)
        save_png(PICTURES / f"regenerations_front_{name}.png", picture)


if __name__ == "__main__":
    flags.DEFINE_string("runs", "runs/studies", "Folder of the runs.")
    flags.DEFINE_string("data_dir", None, "Folder of TFDS's data sets.")
    command_line.run(main, user_errors=(data.DataError, OSError))
