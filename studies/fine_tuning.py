"""Fine-tuning of trained weights beside training from scratch, on other images.

    python -m studies.fine_tuning --data_dir=DATA [--steps=300] [--seeds=3]

Both players go on from `csc_ctrl_cifar10`, and begin anew, on images of
`imagenet2012` in 32×32, without labels: the same network, the same
batches and number of steps. What was trained is not trained again.
Writes studies/fine_tuning.json: PSNR of at most 2,000 validation images, which
nobody trained on, with those of the weights as they were.
"""

import pathlib

from keras_csc_cli import command_line
from keras_csc_cli import train
from keras_csc_cli import train_options
from keras_csc_cli.building import Splits
from keras_csc_cli.records import identification
from keras_csc_cli.records import read_json
from keras_csc_cli.records import write_json

import numpy as np
from absl import flags

from keras_csc import callbacks
from keras_csc import data
from keras_csc.models import ClosedLoopAutoencoder
from studies import fidelity

PRESET = "csc_ctrl_cifar10"
DATASET = "imagenet2012"
TABLE = pathlib.Path(__file__).parent / "fine_tuning.json"
LIMIT = 2000
STARTS = {
    "fine-tuned": ("--flagfile=fine_tune.flags", f"--preset={PRESET}"),
    "from scratch": (
        "--flagfile=cifar10.flags",
        "--preset=cifar10",
        "--game=class_features=0,memory=0.95",
        "--learning_rate=0.03",
    ),
}


def options_of(start, seed, values):
    """The options of `training/train.py`."""
    name = f"{start.replace(' ', '_')}-{values.steps}-{seed}"
    return train_options.parse(
        [
            *STARTS[start],
            f"--dataset={DATASET}",
            f"--data_dir={values.data_dir}",
            f"--steps={values.steps}",
            f"--seed={seed}",
            f"--workdir={pathlib.Path(values.runs) / name}",
            "--metrics=",
            "--save_every=1000000",
        ]
    )


def psnr(model, splits):
    """PSNR in dB, the mean over images that training never saw."""
    return fidelity.psnr_of_model(model, splits["test"], LIMIT)


def row(start, values):
    """Trains with every seed, and measures."""
    found, seconds = [], []
    for seed in range(values.seeds):
        options = options_of(start, seed, values)
        train.train(options)
        folder = pathlib.Path(options.workdir)
        model = ClosedLoopAutoencoder.from_preset(folder / "model")
        found.append(psnr(model, Splits(options)))
        seconds.append(read_json(folder / "run.json")["seconds"])
    return {
        "name": start,
        "flags": list(STARTS[start]),
        "steps": values.steps,
        "psnr": found,
        "seconds": float(np.mean(seconds)),
        "about": identification(),
    }


def main():
    values = flags.FLAGS
    untouched = ClosedLoopAutoencoder.from_preset(PRESET)
    splits = Splits(options_of("fine-tuned", 0, values))
    rows = [{"name": "as they were", "psnr": [psnr(untouched, splits)]}]
    rows += [row(start, values) for start in STARTS]
    write_json(TABLE, rows)
    for each in rows:
        mean, spread = np.mean(each["psnr"]), np.std(each["psnr"])
        print(f"{each['name']}: {mean:.2f} ± {spread:.2f} dB")


if __name__ == "__main__":
    flags.DEFINE_string("data_dir", None, "Folder of TFDS's data sets.")
    flags.DEFINE_string("runs", "runs/fine_tuning", "Folder of the runs.")
    flags.DEFINE_integer("steps", 300, "Steps of training.")
    flags.DEFINE_integer("seeds", 3, "Runs of each.")
    command_line.run(
        main, user_errors=(data.DataError, callbacks.CheckpointError, OSError)
    )
