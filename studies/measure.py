"""Trains one run of the plan and writes what is measured of it.

    python studies/measure.py --run=KEY --runs=FOLDER --data_dir=DATA
        [--more=unseen,noise,samples]

Writes FOLDER/KEY/row.json; an autoencoder that was trained is not trained
again. The flags in the row say which policy --dtype_policy=auto was.
"""

import functools
import pathlib
import time
import warnings

from keras_csc_cli import building
from keras_csc_cli import command_line
from keras_csc_cli import devices
from keras_csc_cli import results
from keras_csc_cli import running
from keras_csc_cli import train
from keras_csc_cli import train_options
from keras_csc_cli.building import Splits
from keras_csc_cli.records import identification
from keras_csc_cli.records import read_json
from keras_csc_cli.records import write_json
from keras_csc_cli.workdir import Workdir

import keras
import numpy as np
import tensorflow as tf
from absl import flags

from keras_csc import callbacks
from keras_csc import data
from keras_csc import evaluation
from keras_csc.callbacks.checkpoints import non_finite
from keras_csc.evaluation import passes
from keras_csc.files import locked
from keras_csc.models import presets
from studies import baselines
from studies import components
from studies import diffusion
from studies import plan
from studies import unseen

KEPT = (
    "psnr",
    "retrieval",
    "zero_fraction",
    "explained",
    "psnr_of",
    "same_class",
    "same_class_of_images",
    "nearest_subspace_accuracy",
    "centered_knn_accuracy",
)
LIMIT = 5000
RATE_STEPS, SKIPPED = 30, 5
ALPHAS = diffusion.alphas()


def measure(run, folder, data_dir):
    """Trains a run and measures it.

    Args:
        run: `Run`.
        folder: of the run.
        data_dir: folder of prepared TFDS data sets.

    Returns:
        The row: a dict.
    """
    if run.minutes and run.kind != "components":
        steps = f"--steps={steps_of(run, folder, data_dir)}"
        run = run._replace(flags=(*run.flags, steps))
    options = options_of(run, folder, data_dir)
    kept = "name", "data", "kind", "flags", "seed"
    row = {name: getattr(run, name) for name in kept} | {"failed": None}
    figures = regenerated
    if run.kind in baselines.GENERATORS:
        figures = generated
    elif run.kind == "components":
        figures = of_components
    try:
        row |= figures(run, options, Splits(options))
    except callbacks.NonFiniteError as error:
        row["failed"] = str(error)
    return {**row, "about": identification()}


def of_components(run, options, splits):
    """What is measured of principal components, as many as features."""
    return components.figures(
        presets.config(options.preset)["feature_dim"],
        *splits.arrays("test", LIMIT),
        *splits.arrays("train", LIMIT),
        results.classifier(splits, classifier(options, splits)),
    )


# === Autoencoders ===


def regenerated(run, options, splits):
    """Trains an autoencoder; what is measured of it."""
    make = maker(run)
    train.train(options, make)
    model, seconds = trained(options, make, splits.num_classes)
    row = {"seconds": seconds}
    samples = "samples" in run.more and run.kind != "vae"
    row |= figures_of(model, options, splits, samples)
    if "samples" in run.more and run.kind == "vae":
        row["samples"] = distance(
            noise_decoder(model, options), options, splits
        )
    if "unseen" in run.more:
        row["unseen"] = unseen.of_sets(
            model, plan.UNSEEN[run.data], options.data_dir
        )
    if "noise" in run.more:
        row["noise"] = unseen.noisy(model, splits)
    return row


def figures_of(model, options, splits, samples):
    """What every row has of an autoencoder; with Fréchet of `samples`."""
    train_images, train_labels = splits.arrays("train", LIMIT)
    if samples and model.density is None:
        model.fit_density(train_images, train_labels)
    judge = results.classifier(splits, classifier(options, splits))
    figures = evaluation.evaluate(
        model,
        *splits.arrays("test", LIMIT),
        train_images,
        train_labels,
        networks=[judge],
        judge=judge,
        samples=samples,
    ).figures
    (distribution,) = figures["distributions"]
    row = {
        **{name: figures[name] for name in KEPT},
        "frechet_distance": distribution["frechet_distance"],
        "labels": model.game.needs_labels,
        "weights": model.count_params(),
        "steps": options.steps,
    }
    if samples:
        of_samples = figures["samples"]["distribution"]
        row["samples"] = of_samples["frechet_distance"]
    return row


def trained(options, make, num_classes):
    """The trained model of a run, and how many seconds it trained.

    Args:
        options: of the run.
        make: what made the model, as of `train.train`.
        num_classes: int, or `None` without labels.
    """
    model = make(options, num_classes)
    with Workdir(options.workdir, create=False) as workdir:
        with warnings.catch_warnings():
            # Optimizers, which a trained model has not, stay as they are.
            warnings.filterwarnings("ignore", "Skipping variable loading")
            model.load_weights(workdir.model / "model.weights.h5")
        return model, read_json(workdir.run)["seconds"]


def options_of(run, folder, data_dir):
    """The options of `training/train.py` for a run."""
    # The digits are scikit-learn's.
    folders = [] if run.data == "digits" else [f"--data_dir={data_dir}"]
    arguments = [
        *run.flags,
        *folders,
        f"--seed={run.seed}",
        f"--workdir={folder}",
        "--metrics=",
        "--save_every=1000000",
    ]
    return train_options.parse(arguments)


def maker(run):
    """`baselines.model` of the run's kind."""
    return functools.partial(baselines.model, kind=run.kind)


# === Generators ===


def fit(run, options, splits, steps, *more):
    """Trains a generator of plain Keras, with callbacks."""
    keras.utils.set_random_seed(options.seed)
    model = baselines.GENERATORS[run.kind](options, splits.num_classes)
    batches = batches_of(options, splits)
    if run.kind == "diffusion":
        batches = diffusion.noised(batches, ALPHAS, options.seed)
    model.fit(
        batches,
        steps_per_epoch=steps,
        callbacks=[*more],
        shuffle=False,
        verbose=0,
    )
    return model


def generated(run, options, splits):
    """Trains a generator; what is measured of it."""
    began = time.monotonic()
    model = fit(run, options, splits, options.steps)
    seconds = time.monotonic() - began
    name = non_finite(model.weights)
    if name:
        raise callbacks.NonFiniteError(f"The weight {name!r} is not finite.")

    sample = noise_decoder(model, options)
    if run.kind == "diffusion":
        sample = functools.partial(
            diffusion.denoised_samples, model, alpha=ALPHAS
        )
    return {
        "seconds": seconds,
        "labels": run.kind == "diffusion",
        "weights": model.count_params(),
        "steps": options.steps,
        "samples": distance(sample, options, splits),
    }


def noise_decoder(model, options):
    """A function of classes: images that a model decodes from noise."""
    config = presets.config(options.preset, **options.architecture)

    def sample(labels):
        shape = len(labels), config["feature_dim"]
        noise = np.random.default_rng(0).standard_normal(shape, "float32")
        return passes.decode(model, noise)

    return sample


def distance(sample, options, splits):
    """Fréchet distance of samples, of the classes of the test images."""
    images, labels = splits.arrays("test", LIMIT)
    figures = evaluation.sample_figures(
        sample(labels),
        images,
        np.full(len(labels), -1),
        splits.arrays("train", LIMIT)[0],
        results.classifier(splits, classifier(options, splits)),
    ).figures
    return figures["distribution"]["frechet_distance"]


# === Equal time ===


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

    def seconds(self):
        """Of the median step after the first ones, which trace the graph."""
        return float(np.median(np.diff(self.times)[SKIPPED:]))


def batches_of(options, splits):
    """Batches of a run, as `training/train.py` makes them."""
    return data.batches(
        data.cached(splits["train"], running.CACHE_BYTES),
        options.batch_size,
        seed=options.seed,
        **building.augmentation(options),
    )


def steps_of(run, folder, data_dir):
    """Steps that the minutes of a run hold, by the time of its first ones.

    They are kept in a file: a run that goes on has as many steps.
    """
    path = folder.parent / "steps" / f"{run.key}.json"
    if not path.exists():
        options = options_of(run, folder, data_dir)
        splits, times = Splits(options), StepTimes()
        if run.kind in baselines.GENERATORS:
            fit(run, options, splits, RATE_STEPS, times)
        else:
            running.loop(
                maker(run)(options, splits.num_classes),
                splits["train"],
                batches_of(options, splits),
                RATE_STEPS,
                train.LOG_EVERY,
                [times],
                tf.distribute.get_strategy(),
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        steps = max(1, round(60 * run.minutes / times.seconds()))
        write_json(path, {"steps": steps})
    return read_json(path)["steps"]


def classifier(options, splits):
    """The path of one classifier for all runs of a set, trained if need be."""
    folder = pathlib.Path(options.workdir).parent / "classifiers"
    path = folder / f"{splits.dataset}.keras"
    folder.mkdir(exist_ok=True)
    with locked(path.with_suffix(".lock")):
        results.classifier(splits, path)
    return path


def main():
    values = flags.FLAGS
    runs = {run.key: run for run in plan.runs()}
    if values.run not in runs:
        raise command_line.UsageError(f"the plan has no run {values.run!r}.")
    run = runs[values.run]._replace(more=tuple(values.more))
    named = any(flag.startswith("--dtype_policy=") for flag in run.flags)
    if values.dtype_policy or not named:
        policy = devices.dtype_policy(values.dtype_policy or "auto")
        policy = f"--dtype_policy={policy}"
        run = run._replace(flags=(*run.flags, policy))
    folder = pathlib.Path(values.runs) / values.run
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "row.json", measure(run, folder, values.data_dir))


if __name__ == "__main__":
    flags.DEFINE_string("run", None, "Key of a run of the plan.")
    flags.DEFINE_list("more", [], "To measure besides: unseen, noise, samples.")
    flags.DEFINE_string("runs", "runs/studies", "Folder of the runs.")
    flags.DEFINE_string("data_dir", None, "Folder of TFDS's data sets.")
    flags.DEFINE_string("dtype_policy", None, "In place of the run's own.")
    command_line.run(
        main, user_errors=(data.DataError, callbacks.CheckpointError, OSError)
    )
