"""Runs as folders: trained when they are missing, and loaded."""

import gc
import json
import pathlib

from training import building
from training import options as run_options
from training import train
from training.workdir import read_json
from training.workdir import write_json

import keras
import numpy as np
import tensorflow as tf
from sklearn.decomposition import PCA

from benchmarks.studies import data as sets
from benchmarks.studies import models
from benchmarks.studies import pieces
from keras_csc.callbacks import NonFiniteError

BATCH = 250


class TrainingFailed(Exception):
    """A run that became non-finite: a result, not an error."""


class Runs:
    """The trained models below a folder, `FOLDER/NAME` each.

    Args:
        folder: where they are.
        library: `data.Library`.
    """

    def __init__(self, folder, library):
        self.folder = pathlib.Path(folder)
        self.library = library

    def path(self, run):
        return self.folder / pieces.name(run)

    def options(self, run):
        """The options of `training/train.py` for a run."""
        steps = run.flags["steps"]
        flags = {
            "frozen_stages": 0,  # where a run says nothing, whatever a preset
            **run.flags,
            "dataset": sets.SETS[run.data].dataset,
            "data_dir": self.library.folder(run.data),
            "workdir": self.path(run),
            "evaluate": False,
            "log_every": max(1, steps // (40 if steps >= 200 else 4)),
            "pictures_every": steps + 1,
        }
        return run_options.parse(arguments(flags))

    def train(self, run):
        """Trains a run, or goes on with it, unless it is finished.

        Raises:
            TrainingFailed: if its objective became non-finite, now or before.
        """
        folder = self.path(run)
        failure = folder / "failed.json"
        if failure.exists():
            raise TrainingFailed(read_json(failure, str))
        if (folder / "model").is_dir():
            return

        def make_model(options, num_classes):
            make = models.MAKERS[run.kind]
            return building.model(options, num_classes, make)

        try:
            train.train(self.options(run), make_model)
        except NonFiniteError as error:
            write_json(failure, " ".join(str(error).split()))
            raise TrainingFailed(str(error)) from error
        finally:
            keras.backend.clear_session()
            gc.collect()

    def log(self, run):
        """The records of a run's log, oldest first."""
        lines = (self.path(run) / "log.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def record(self, run):
        """What `training/train.py` wrote of a run: sessions, seconds."""
        return read_json(self.path(run) / "run.json")

    def load(self, run):
        """The trained model of a run: a `Network` or a `Projection`."""
        if run.kind == "pca":
            return self._fit_projection(run)
        self.train(run)
        options = self.options(run)
        model = models.MAKERS[run.kind](
            options.preset,
            dtype=options.dtype_policy,
            **building.architecture(options),
        )
        model.load_weights(self.path(run) / "model" / "model.weights.h5")
        return Network(model)

    def _fit_projection(self, run):
        images, _ = self.library.images(run.data, "train")
        return Projection(sets.to_float(images), run.flags["feature_dim"])


class Network:
    """A `ClosedLoopAutoencoder` on arrays of any length."""

    def __init__(self, model):
        self.model = model
        self._functions = {}

    def _run(self, name, *arrays):
        if name not in self._functions:
            self._functions[name] = tf.function(
                getattr(self.model, name), reduce_retracing=True
            )
        function, parts = self._functions[name], []
        for start in range(0, len(arrays[0]), BATCH):
            parts.append(function(*(a[start : start + BATCH] for a in arrays)))
        result = np.concatenate(parts)
        if not np.all(np.isfinite(result)):
            raise TrainingFailed(f"what it would {name} is not finite")
        return result

    def encode(self, images):
        return self._run("encode", images)

    def decode(self, features):
        return self._run("decode", features)

    def denoise(self, images, sparsity):
        """Reconstructions with another `λ` of the first stage."""
        return self._run(
            "denoise", images, np.full(len(images), sparsity, "float32")
        )

    @property
    def has_sparsity(self):
        return hasattr(self.model.encoder.coding_layers[0], "sparsity")

    def size(self):
        """Weights that are trained, and multiply-adds of one image."""
        encoder, decoder = self.model.encoder, self.model.decoder
        trained = encoder.trainable_variables + decoder.trainable_variables
        coding = [*encoder.coding_layers, encoder.head]
        decoding = coding if decoder.tied else decoder.decoding_layers[::-1]
        # `T` solver steps are `T` analyses and `T - 1` syntheses.
        repeats = [2 * getattr(each, "iterations", 1) - 1 for each in coding]
        return {
            "parameters": int(sum(np.prod(v.shape) for v in trained)),
            "encoder_multiply_adds": int(
                np.dot(repeats, _multiply_adds(coding, encoder))
            ),
            "decoder_multiply_adds": sum(_multiply_adds(decoding, encoder)),
        }


class Projection:
    """PCA: the linear autoencoder of least squared error.

    Args:
        images: float array to fit it to.
        components: int, numbers an image.
    """

    has_sparsity = False

    def __init__(self, images, components):
        self.shape = images.shape[1:]
        self.pca = PCA(components, random_state=0)
        self.pca.fit(images.reshape(len(images), -1))

    def encode(self, images):
        return self.pca.transform(images.reshape(len(images), -1))

    def decode(self, features):
        images = self.pca.inverse_transform(features).astype("float32")
        return np.clip(images, -1, 1).reshape(-1, *self.shape)

    def size(self):
        return {
            "parameters": self.pca.components_.size + self.pca.mean_.size,
            "encoder_multiply_adds": self.pca.components_.size,
            "decoder_multiply_adds": self.pca.components_.size,
        }


def arguments(flags):
    """A dict of flags as a list of arguments; `None` is left out."""
    given = {name: value for name, value in flags.items() if value is not None}
    return [
        f"--{'' if value else 'no'}{name}"
        if isinstance(value, bool)
        else f"--{name}={value}"
        for name, value in given.items()
    ]


def _multiply_adds(layers, encoder):
    """Of one convolution by each layer, from the image upwards."""
    sides = [encoder.image_shape[0] // 2**n for n in range(1, len(layers))]
    return [
        side**2 * int(np.prod(layer.kernel.shape))
        for side, layer in zip([*sides, 1], layers)
    ]
