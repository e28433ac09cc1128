"""Who makes samples in the study, how they train, and for how long."""

import functools
import pathlib
import time
import typing

from keras_csc_cli import building
from keras_csc_cli import devices
from keras_csc_cli import results
from keras_csc_cli import train
from keras_csc_cli.building import Splits
from keras_csc_cli.records import read_json
from keras_csc_cli.records import write_json

import keras
import numpy as np
import tensorflow as tf

from keras_csc import callbacks
from keras_csc import data
from keras_csc import evaluation
from keras_csc.callbacks.checkpoints import non_finite
from keras_csc.evaluation import passes
from keras_csc.models import presets
from keras_csc.terminal import Progress
from studies import dcgan
from studies import diffusion
from studies import measure
from studies import plan
from studies.runs import Run
from studies.runs import flag_file

DENSITY_IMAGES = 10_000  # as `keras-csc train` takes by default
COMPONENTS = 10  # Gaussians of a density without labels, as there are classes
ALPHAS = diffusion.alphas(diffusion.betas())


class Contender(typing.NamedTuple):
    """What makes samples.

    Args:
        title: what it is called in tables.
        kind: key of `baselines.MAKERS` or of `MAKERS`.
        conditional: bool, whether it is asked for classes.
        flags: tuple of flags of `training/train.py`, after the set's flag file.
        ending: of the name of that flag file.
    """

    title: str
    kind: str
    conditional: bool
    flags: tuple = ()
    ending: str = ""


PLAIN = ("--batch_size=128",)
CONTENDERS = {
    "csc_ctrl": Contender(f"{plan.OURS}, of classes", "closed_loop", True),
    "csc_ctrl_unlabelled": Contender(
        plan.UNLABELLED,
        "closed_loop",
        False,
        plan.CONTENDERS[plan.UNLABELLED].flags,
    ),
    "csc_ctrl_published": Contender(
        "CSC-CTRL, as published, of classes",
        "closed_loop",
        True,
        ending="_published",
    ),
    "vae": Contender("VAE", "vae", False, plan.CONTENDERS[plan.VAE].flags),
    "dcgan": Contender("DCGAN", "dcgan", False, PLAIN),
    "diffusion": Contender(
        "denoising diffusion, of classes", "diffusion", True, PLAIN
    ),
}


def run_of(name, data, steps):
    """The `Run` of a contender on a data set."""
    contender = CONTENDERS[name]
    file = flag_file(data + contender.ending)
    others = ()
    if contender.kind != "closed_loop":
        others = (plan.DCGAN[data],)
    arguments = file, f"--steps={steps}", *others, *contender.flags
    return Run(contender.title, data, contender.kind, arguments)


# === Training of what is plain Keras ===


def gan(options, num_classes):
    """A `DCGAN` of a run's widths, compiled."""
    config = presets.config(options.preset, **options.architecture)
    model = dcgan.DCGAN(
        tuple(config["image_shape"]),
        tuple(config["filters"]),
        config["feature_dim"],
        config["kernel_size"],
        devices.dtype_policy(options.dtype_policy),
    )
    model.compile()
    return model


def denoiser(options, num_classes):
    """A denoiser of a run's widths, compiled."""
    config = presets.config(options.preset, **options.architecture)
    model = diffusion.denoiser(
        tuple(config["image_shape"]),
        tuple(config["filters"]),
        num_classes,
        config["kernel_size"],
        dtype=devices.dtype_policy(options.dtype_policy),
    )
    diffusion.compile_denoiser(model, options.steps)
    return model


MAKERS = {"dcgan": gan, "diffusion": denoiser}


class StepTimes(keras.callbacks.Callback):
    """Knows when the steps of a training ended.

    Args:
        clock: function that returns seconds. By default it counts the
            seconds of the core that this process took, and no other work.
    """

    def __init__(self, clock=time.process_time):
        super().__init__()
        self.clock = clock
        self.times = []

    def on_train_batch_end(self, batch, logs=None):
        self.times.append(self.clock())

    def images_per_second(self, batch_size, skipped=5):
        """Of the median step after the first ones, which trace the graph."""
        return batch_size / float(np.median(np.diff(self.times)[skipped:]))


def batches_of(options, given):
    """Batches of a run, as `training/train.py` makes them."""
    return data.batches(
        given.source,
        options.batch_size,
        seed=options.seed,
        **building.augmentation(options),
    )


def fit(run, options, given, *more):
    """Trains a model of `MAKERS`.

    Args:
        run, options: `Run` and its options.
        given: `Material` of the data set.
        *more: Keras callbacks.

    Returns:
        The model, and the seconds that its training took.
    """
    keras.utils.set_random_seed(options.seed)
    model = MAKERS[run.kind](options, given.splits.num_classes)
    batches = batches_of(options, given)
    if run.kind == "diffusion":
        batches = diffusion.noised(batches, ALPHAS, options.seed)
    progress = Progress(f"Training the {run.name}, batches", options.steps)
    report = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: progress.update(batch + 1)
    )
    began = time.monotonic()
    model.fit(
        batches,
        steps_per_epoch=options.steps,
        callbacks=[report, *more],
        shuffle=False,
        verbose=0,
    )
    return model, time.monotonic() - began


def trained_plain(run, options, given, folder):
    """`fit`, or what it left in a folder.

    Raises:
        NonFiniteError: if a weight is not finite.
    """
    weights, record = folder / "model.weights.h5", folder / "trained.json"
    if record.exists():
        model = MAKERS[run.kind](options, given.splits.num_classes)
        model.load_weights(weights)
        return model, read_json(record)["seconds"]
    model, seconds = fit(run, options, given)
    name = non_finite(model.weights)
    if name:
        raise callbacks.NonFiniteError(f"The weight {name!r} is not finite.")
    folder.mkdir(exist_ok=True)
    model.save_weights(weights)
    write_json(record, {"seconds": seconds})
    return model, seconds


# === Equal time ===


def rate(run, options, given, path):
    """Images a second of one core in training, measured once.

    Args:
        run: `Run` of some steps.
        options: of the run.
        given: `Material` of the data set.
        path: JSON file that keeps it: a run that goes on has as many steps.
    """
    if not path.exists():
        times = StepTimes()
        if run.kind in MAKERS:
            fit(run, options, given, times)
        else:
            train.loop(
                measure.maker(run)(options, given.splits.num_classes),
                given.source,
                batches_of(options, given),
                options.steps,
                train.LOG_EVERY,
                [times],
                tf.distribute.get_strategy(),
            )
        found = times.images_per_second(options.batch_size)
        write_json(path, {"images_per_second": found})
    return read_json(path)["images_per_second"]


# === Samples ===


class Material(typing.NamedTuple):
    """What contenders of a data set are trained on, and measured with."""

    splits: Splits
    source: object
    images: np.ndarray
    labels: np.ndarray
    train_images: np.ndarray
    train_labels: np.ndarray
    judge: evaluation.FeatureExtractor


def material(data_name, runs, data_dir, count):
    """The `Material` of a data set, with `count` test images."""
    run = run_of("csc_ctrl", data_name, 1)
    options = measure.options_of(run, runs, data_dir)
    splits = Splits(options)
    source = data.cached(splits["train"], building.CACHE_BYTES)
    return Material(
        splits,
        source,
        *data.load_arrays(splits["test"], count),
        *data.load_arrays(source),
        results.classifier(splits, measure.classifier(splits, runs)),
    )


def sampler(name, run, options, given):
    """Trains a contender, if it is not trained.

    Returns:
        `(sample, facts)`: a function of classes `(n,)`, which are -1 for a
        contender that is not asked for any, and a seed, that makes float32
        images in [-1, 1]; and a dict for the row.
    """
    if run.kind in MAKERS:
        folder = pathlib.Path(options.workdir)
        model, seconds = trained_plain(run, options, given, folder)
    else:
        make = measure.maker(run)
        train.train(options, make)
        model, seconds = measure.trained(
            options, make, given.splits.num_classes
        )
    facts = {"seconds": seconds, "parameters": model.count_params()}
    if run.kind == "closed_loop":
        facts |= fit_density(model, given, CONTENDERS[name].conditional)
        return functools.partial(passes.sample, model), facts
    if run.kind == "diffusion":
        return _denoising(model), facts
    return _decoding(model, presets.config(options.preset)), facts


def _denoising(model):
    return lambda labels, seed: diffusion.denoised_samples(
        model, labels, ALPHAS, seed
    )


def _decoding(model, config):
    def sample(labels, seed):
        shape = len(labels), config["feature_dim"]
        noise = np.random.default_rng(seed).standard_normal(shape, "float32")
        return passes.decode(model, noise)

    return sample


def fit_density(model, given, conditional):
    """Gives a model its density, and says how long that took."""
    images, labels = (
        each[:DENSITY_IMAGES]
        for each in (given.train_images, given.train_labels)
    )
    began = time.monotonic()
    if conditional:
        model.fit_density(images, labels)
    else:
        model.fit_density(images, components=COMPONENTS)
    return {
        "density": model.density.get_config(),
        "density_seconds": time.monotonic() - began,
    }
