"""Learns the dictionaries that ship with `keras_csc.restoration`.

    python studies/dictionaries.py --photographs=FOLDER --channels=1
    python studies/dictionaries.py --photographs=FOLDER --channels=3 \\
        --windows=16000 --epochs=2

From all image files of a folder, in grey and in colour. What ships was learned
from 300 photographs of ImageNet's training classes; the files hold atoms of
8×8 pixels in half precision, and no photographs.
"""

import argparse
import pathlib
import time

import numpy as np
from PIL import Image

from keras_csc import restoration
from keras_csc.restoration.dictionary_learning import FOLDER
from keras_csc.restoration.dictionary_learning import SHIPPED

# By channels.
FILTERS = {1: 128, 3: 192}
SPARSITY = {1: 0.12, 3: 0.15}


def photographs(folder, channels):
    """Arrays in [0, 1] of the image files of a folder."""
    mode = "L" if channels == 1 else "RGB"
    found = []
    for path in sorted(pathlib.Path(folder).iterdir()):
        with Image.open(path) as image:
            found.append(np.asarray(image.convert(mode), "float32") / 255)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photographs", required=True, help="a folder")
    parser.add_argument("--output", default=FOLDER, help="a folder")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--windows", type=int, default=40_000)
    parser.add_argument("--channels", default="1,3")
    options = parser.parse_args()
    for channels in map(int, options.channels.split(",")):
        name = SHIPPED[channels]
        began = time.monotonic()

        def progress(epoch, epochs, objective):
            seconds = time.monotonic() - began
            text = f"{epoch}/{epochs} {objective:.5f} {seconds:.0f} s"
            print(f"{channels} channels: {text}", flush=True)

        dictionary = restoration.learn_dictionary(
            photographs(options.photographs, channels),
            FILTERS[channels],
            sparsity=SPARSITY[channels],
            epochs=options.epochs,
            windows=options.windows,
            progress=progress,
        )
        path = pathlib.Path(options.output) / name
        restoration.save_dictionary(dictionary, path)
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
