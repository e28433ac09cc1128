"""Speed and memory of regenerating a whole photograph in tiles.

    python benchmarks/tiles.py

Every row is a process of its own that regenerates one image of noise by an
untrained model, after a small one that traces its graphs: seconds are the
median of three times. Memory is the highest resident memory of the process, in
all, of which `python` is what it had before: TensorFlow and the model. The last
rows are the image as one tile, as `reconstruct` takes it. Writes
benchmarks/results/tiles.json.
"""

import argparse
import json
import statistics
import time

import keras_csc_cli  # noqa: F401

import numpy as np

from benchmarks import measuring
from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.models import Tiles

# Megapixels, and height and width of the tiles; `None` for one of all.
CASES = ((1, 256), (1, 512), (12, 256), (12, 512), (12, 1024), (1, None))
PRESETS = ("photographs", "photographs_32", "photographs_fine")
TIMES = 3


def case(preset, megapixels, tile):
    """Seconds and memory of one case, in this process."""
    model = ClosedLoopAutoencoder.from_preset(preset, load_weights=False)
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    width = round(megapixels * 1e6 / height)
    image = np.random.default_rng(0).integers(
        0, 256, (1, height, width, 3), np.uint8
    )
    tiles = Tiles(model, tile or max(height, width))
    tiles.reconstruct(image[:, :64, :64])
    before = measuring.resident_mib()
    seconds = []
    for _ in range(TIMES):
        start = time.perf_counter()
        tiles.reconstruct(image)
        seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds)
    return {
        "seconds": median,
        "megapixels_per_second": height * width / 1e6 / median,
        "peak_mib": measuring.resident_mib("VmHWM"),
        "python_mib": before,
    }


def measure():
    for preset in PRESETS:
        for megapixels, tile in CASES:
            yield {
                "preset": preset,
                "megapixels": megapixels,
                "tile": tile,
                **measuring.case(__file__, preset, megapixels, tile or 0),
            }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--case", nargs=3)
    arguments = parser.parse_args()
    if arguments.case:
        preset, megapixels, tile = arguments.case
        print(json.dumps(case(preset, float(megapixels), int(tile) or None)))
        return
    measuring.report(
        "tiles",
        list(measure()),
        [
            "preset",
            "megapixels",
            "tile",
            "seconds",
            "megapixels_per_second",
            "peak_mib",
            "python_mib",
        ],
    )


if __name__ == "__main__":
    main()
