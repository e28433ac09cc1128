"""PCA with as many numbers per image as an autoencoder has features.

    python benchmarks/pca.py --flagfile=training/flags/cifar10.flags \
        --data_dir=DATA

The linear autoencoder of least squared error, fitted on the training images of
a run's options and measured on its test images. Adds a row to
benchmarks/results/pca.json.
"""

import pathlib

from training import building
from training import command_line
from training import options as run_options
from training.workdir import identification
from training.workdir import read_json
from training.workdir import write_json

import numpy as np
from absl import flags

from benchmarks.studies.data import to_float
from benchmarks.studies.runs import Projection
from keras_csc import data
from keras_csc import metrics
from keras_csc.models import presets

RESULTS = pathlib.Path(__file__).parent / "results" / "pca.json"


def measure(options):
    """PSNR of PCA on the test split of the options' data set."""
    train, _ = data.load_arrays(building.source(options, "train"))
    test, _ = data.load_arrays(
        building.source(options, "test"), options.evaluation_limit
    )
    components = options.feature_dim or presets.config(options.preset).get(
        "feature_dim"
    )
    projection = Projection(to_float(train), components)
    images = to_float(test)
    psnr = metrics.peak_signal_to_noise_ratio(
        images, projection.decode(projection.encode(images))
    )
    return {
        "dataset": options.dataset,
        "components": components,
        "training_images": len(train),
        "test_images": len(test),
        "psnr": float(np.mean(psnr)),
        **identification(),
    }


def main():
    row = measure(run_options.values(flags.FLAGS))
    rows = read_json(RESULTS, list) if RESULTS.exists() else []
    rows = [r for r in rows if r["dataset"] != row["dataset"]] + [row]
    write_json(RESULTS, rows)
    print(
        f"{row['dataset']}: PCA with {row['components']} components, "
        f"PSNR {row['psnr']:.2f} dB on {row['test_images']} test images"
    )


if __name__ == "__main__":
    run_options.define(flags.FLAGS)
    flags.adopt_module_key_flags(run_options)
    command_line.run(main, user_errors=(data.DataError,))
