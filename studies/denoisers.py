"""Sparse coding beside convolutions of as many weights, after equal time.

    taskset -c 0 python studies/denoisers.py --data_dir=FOLDER --minutes=10

Both denoise at every level of noise, and train on the same batches, as many
steps as the minutes hold: each is timed first. Puts its rows, of the
photographs of `restoration.py`, in studies/restoration.json.
"""

import argparse
import pathlib
import time

from keras_csc_cli import checked_flags
from keras_csc_cli import devices
from keras_csc_cli import train_denoiser
from keras_csc_cli.picture_options import DENOISER
from keras_csc_cli.records import identification

import keras
import numpy as np
from absl import flags
from keras import ops

from keras_csc.presets import PresetModel
from keras_csc.presets import load_preset
from keras_csc.restoration import SparseDenoiser
from keras_csc.restoration.geometry import BORDER
from studies import restoration
from studies import tables

TIMED = 20  # steps
DEPTH, WIDTH = 9, 32
LEVELS = (15, 25, 50)


@keras.saving.register_keras_serializable(package="studies")
class ConvDenoiser(PresetModel):
    """DnCNN of `DEPTH` layers, given `σ` as one more channel.

    It has biases, and no batch normalisation. A batch has 8 images of
    different noise, and its statistics do not fit an image alone.

    Reference:
        Zhang, Zuo, Chen, Meng & Zhang, Beyond a Gaussian denoiser, IEEE TIP
        2017.
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)
        conv, dtype = keras.layers.Conv2D, self.dtype_policy
        how = {"padding": "same", "dtype": dtype}
        self.layered = keras.Sequential(
            [
                keras.Input((None, None, 2)),
                *(
                    conv(WIDTH, 3, activation="relu", **how)
                    for _ in range(DEPTH - 1)
                ),
                conv(1, 3, **how),
            ]
        )
        self.built = True

    def call(self, inputs, training=False):
        images, noise = inputs
        images = ops.cast(images, "float32")
        level = ops.reshape(ops.cast(noise, "float32"), (-1, 1, 1, 1))
        level = ops.broadcast_to(level, ops.shape(images[..., :1]))
        given = ops.concatenate([images, level], -1)
        residual = self.layered(given, training=training)
        made = images - ops.cast(residual, "float32")
        return made[:, BORDER:-BORDER, BORDER:-BORDER] if training else made


NETWORKS = {
    "ours": SparseDenoiser,
    "convolutions": ConvDenoiser,
}


def options_of(data_dir, workdir):
    """The options of `keras-csc train-denoiser`."""
    known = flags.FlagValues()
    checked_flags.define(DENOISER.sections, known)
    known(["", f"--data_dir={data_dir}", f"--workdir={workdir}"])
    return checked_flags.values(DENOISER.sections, known)


def seconds_a_step(options, make):
    """Median of some steps after the first."""
    policy = devices.dtype_policy(options.dtype_policy)
    model = make(dtype=policy)
    train_denoiser.compile_denoiser(model, options)
    batch, side = train_denoiser.BATCH, train_denoiser.SIDE
    noise = np.full(batch, 0.1, "float32")
    images = np.full((batch, side, side, 1), 0.5, "float32")
    inner = images[:, BORDER:-BORDER, BORDER:-BORDER]
    taken = []
    for _ in range(TIMED):
        began = time.perf_counter()
        model.train_on_batch((images, noise), inner)
        taken.append(time.perf_counter() - began)
    return float(np.median(taken[1:]))


def rows_of(name, model, minutes):
    """Mean PSNR of the photographs, by the level of their noise."""
    images = restoration.shipped(1)
    for level in LEVELS:
        found = []
        for seed, image in enumerate(images.values()):
            task = f"denoise {level}"
            noisy, _ = restoration.corrupted(task, image, seed)
            given = noisy[None, ..., None], np.float32([level / 255])
            made = np.clip(model.predict_on_batch(given)[0, ..., 0], 0, 1)
            found.append(-10 * np.log10(np.mean((made - image) ** 2)))
        yield {
            "images": "shipped",
            "task": task,
            "channels": 1,
            "method": f"{name}, trained for {minutes:g} minutes",
            "psnr": float(np.mean(found)),
            "weights": model.count_params(),
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--runs", default="runs/denoisers")
    given = parser.parse_args()
    for name in given.networks:
        make = NETWORKS[name]
        folder = pathlib.Path(given.runs) / f"{name}-{given.minutes:g}"
        options = options_of(given.data_dir, folder)
        options.steps = round(
            60 * given.minutes / seconds_a_step(options, make)
        )
        train_denoiser.main(options, make)
        model = load_preset(folder / "model")
        rows = list(rows_of(name, model, given.minutes))
        about = {"steps": options.steps, "about": identification()}
        rows = [{**row, **about} for row in rows]
        tables.put(restoration.RESULTS, rows, restoration.KEYS)
        for row in rows:
            print(row["task"], row["method"], row["psnr"], row["weights"])


if __name__ == "__main__":
    main()
