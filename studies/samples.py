"""Samples of ours and of other generators, after equal time of training.

    taskset -c 0 python studies/samples.py --data_dir=DATA --minutes=30

DATA holds fashion_mnist and cifar10 as TFDS prepares them. Every contender is
timed for some steps, and then trains for the fixed number of steps that so many
minutes hold. Run the same command again to go on, contender by contender;
several processes may work side by side, each on a core of its own. With
`--contenders=csc_ctrl,vae` and `--sets=cifar10` some only. What is trained and
measured is below --runs; of it studies/samples.json, docs/samples.md and its
pictures are written, but for trials with --nopage.
"""

import os
import pathlib
import time
import typing

from keras_csc_cli import building
from keras_csc_cli import command_line
from keras_csc_cli import devices
from keras_csc_cli import results
from keras_csc_cli import train
from keras_csc_cli.building import Splits
from keras_csc_cli.records import identification
from keras_csc_cli.records import read_json
from keras_csc_cli.records import write_json

import keras
import numpy as np
import tensorflow as tf
from absl import flags
from PIL import Image

from keras_csc import callbacks
from keras_csc import data
from keras_csc import evaluation
from keras_csc.callbacks.checkpoints import non_finite
from keras_csc.evaluation import passes
from keras_csc.files import locked
from keras_csc.files import replacing
from keras_csc.models import presets
from keras_csc.terminal import Progress
from keras_csc.visualization import image_grid
from studies import generators
from studies import measure
from studies import page as results_page
from studies import plan
from studies import tables
from studies import verdicts

HERE = pathlib.Path(__file__).parent
TABLE = HERE / "samples.json"
PAGE = HERE.parent / "docs" / "samples.md"
PICTURES = HERE.parent / "docs" / "pictures"
PICTURE_BYTES = 30_000  # of twelve: 360 kB in all
DENSITY_IMAGES = 10_000  # as `keras-csc train` takes by default
COMPONENTS = 10  # Gaussians of a density without labels, as there are classes
SHOWN = 10  # of a class
ALPHAS = generators.alphas(generators.betas())


class Contender(typing.NamedTuple):
    """What makes samples.

    Args:
        title: what it is called in tables.
        kind: key of `baselines.MAKERS` or of `MAKERS`.
        conditional: bool, whether it is asked for classes.
        flags: tuple of flags of `training/train.py`, after those of the set's
            flag file.
        ending: of the name of that flag file.
    """

    title: str
    kind: str
    conditional: bool
    flags: tuple = ()
    ending: str = ""


# Shifted images would be another distribution than that to be sampled. Ours
# has the density of images that are not shifted.
UNSHIFTED = {"fashion_mnist": "--augment=", "cifar10": "--augment=flip"}
PLAIN = ("--batch_size=128",)
CONTENDERS = {
    "csc_ctrl": Contender(f"{plan.OURS}, of classes", "closed_loop", True),
    "csc_ctrl_unlabelled": Contender(
        f"{plan.OURS}, without labels",
        "closed_loop",
        False,
        plan.CONTENDERS[plan.UNLABELLED].flags,
    ),
    "csc_ctrl_published": Contender(
        f"{plan.PUBLISHED}, of classes",
        "closed_loop",
        True,
        ending=plan.CONTENDERS[plan.PUBLISHED].ending,
    ),
    "vae": Contender("VAE", "vae", False, plan.CONTENDERS[plan.VAE].flags),
    "dcgan": Contender("DCGAN", "dcgan", False, PLAIN),
    "diffusion": Contender(
        "denoising diffusion, of classes", "diffusion", True, PLAIN
    ),
}


def run_of(name, data, steps):
    """The `plan.Run` of a contender on a data set."""
    contender = CONTENDERS[name]
    file = plan.flag_file(data + contender.ending)
    others = ()
    if contender.kind != "closed_loop":
        others = (plan.DCGAN[data], UNSHIFTED[data])
    arguments = file, f"--steps={steps}", *others, *contender.flags
    return plan.Run(contender.title, data, contender.kind, arguments)


# === Training of what is plain Keras ===


def dcgan(options, num_classes):
    """A `DCGAN` of a run's widths, compiled."""
    config = presets.config(options.preset, **options.architecture)
    model = generators.DCGAN(
        tuple(config["image_shape"]),
        tuple(config["filters"]),
        config["feature_dim"],
        config["kernel_size"],
        devices.dtype_policy(options.dtype_policy),
    )
    model.compile()
    return model


def diffusion(options, num_classes):
    """A denoiser of a run's widths, compiled."""
    config = presets.config(options.preset, **options.architecture)
    model = generators.denoiser(
        tuple(config["image_shape"]),
        tuple(config["filters"]),
        num_classes,
        config["kernel_size"],
        dtype=devices.dtype_policy(options.dtype_policy),
    )
    generators.compile_denoiser(model, options.steps)
    return model


MAKERS = {"dcgan": dcgan, "diffusion": diffusion}


class StepTimes(keras.callbacks.Callback):
    """Knows when the steps of a training ended.

    Args:
        clock: function that returns seconds. By default they are those of the
            core that this process took: what else runs does not count.
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
        run: `plan.Run`.
        options: of the run.
        given: `Material` of the data set.
        *more: Keras callbacks.

    Returns:
        The model, and the seconds that its training took.
    """
    keras.utils.set_random_seed(options.seed)
    model = MAKERS[run.kind](options, given.splits.num_classes)
    batches = batches_of(options, given)
    if run.kind == "diffusion":
        batches = generators.noised(batches, ALPHAS, options.seed)
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
        run: `plan.Run` of some steps.
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

    def of_prior(labels, seed):
        noise = np.random.default_rng(seed).standard_normal(
            (len(labels), presets.config(options.preset)["feature_dim"]),
            "float32",
        )
        return passes.decode(model, noise)

    def of_density(labels, seed):
        return passes.sample(model, labels, seed)

    def of_denoiser(labels, seed):
        return generators.denoised_samples(model, labels, ALPHAS, seed)

    if run.kind == "closed_loop":
        facts |= fit_density(model, given, CONTENDERS[name].conditional)
    kinds = {"closed_loop": of_density, "diffusion": of_denoiser}
    return kinds.get(run.kind, of_prior), facts


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


def figures_of(sample, given, conditional):
    """Measures as many samples as there are test images."""
    labels = given.labels if conditional else np.full(len(given.labels), -1)
    began = time.process_time()
    made = sample(labels, 0)
    seconds = time.process_time() - began
    found = evaluation.sample_figures(
        made, given.images, labels, given.train_images, given.judge
    ).figures
    distribution = found.pop("distribution")
    kept = "frechet_distance", "kernel_distance", "precision", "recall"
    return {
        **found,
        **{name: distribution[name] for name in kept},
        "of_training_images": {
            name: distribution["of_training_images"][name] for name in kept
        },
        "seconds_of_1000": 1000 * seconds / len(made),
        "classifier": given.judge.name,
    }


def row_of(name, data_name, folder, given, values):
    """Trains a contender, measures it and saves samples in its folder."""
    timed = run_of(name, data_name, plan.RATE_STEPS)
    options = measure.options_of(timed, folder, values.data_dir)
    speed = rate(timed, options, given, folder / "rate.json")
    steps = plan.steps_in(values.minutes, speed, options.batch_size)
    run = run_of(name, data_name, steps)
    options = measure.options_of(run, folder / "run", values.data_dir)
    conditional = CONTENDERS[name].conditional
    row = {
        "key": f"{data_name}-{name}",
        "name": run.name,
        "data": data_name,
        "conditional": conditional,
        "minutes": values.minutes,
        "images_per_second": speed,
        "steps": steps,
        "batch_size": options.batch_size,
        "flags": list(run.flags),
        "seed": run.seed,
        "failed": None,
    }
    try:
        sample, facts = sampler(name, run, options, given)
    except callbacks.NonFiniteError as error:
        return {**row, "failed": str(error), "about": identification()}
    row |= {**facts, **figures_of(sample, given, conditional)}
    classes = np.repeat(np.arange(given.splits.num_classes), SHOWN)
    shown = sample(classes if conditional else np.full(len(classes), -1), 1)
    np.save(folder / "shown.npy", shown)
    return {**row, "about": identification()}


def work(name, data_name, runs, values, opened):
    """Makes the row of a contender, unless another process does.

    Args:
        name: key of `CONTENDERS`.
        data_name: of the data set.
        runs: folder of all runs.
        values: the flags.
        opened: dict of the `Material` of data sets, which it adds to.
    """
    folder = runs / f"{values.minutes:g}-minutes" / f"{data_name}-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    row = folder / "row.json"
    try:
        with locked(folder / "lock", wait=False):
            if not row.exists():
                print(f"{data_name}: {CONTENDERS[name].title}", flush=True)
                if data_name not in opened:
                    opened[data_name] = material(
                        data_name, runs, values.data_dir, values.images
                    )
                given = opened[data_name]
                write_json(row, row_of(name, data_name, folder, given, values))
            if values.page:
                publish(read_json(row), folder / "shown.npy")
    except BlockingIOError:
        return


# === Page ===


def publish(row, shown):
    """Puts a row into the table, and writes the page and the row's picture."""
    with locked(TABLE.with_suffix(".lock")):
        rows = tables.put(TABLE, [row], ["key"], _order)
        if shown.exists():
            picture = image_grid(np.load(shown), SHOWN)
            save_jpeg(picture_of(row, PICTURES), picture)
        with replacing(PAGE) as temporary:
            temporary.write_text(page(rows, PICTURES), encoding="utf-8")


def picture_of(row, folder):
    """Path of the picture of a row's samples."""
    return folder / f"samples_{row['key']}.jpg"


def _order(row):
    data_name, name = row["key"].split("-")
    return plan.SETS.index(data_name), list(CONTENDERS).index(name)


def save_jpeg(path, picture, most=PICTURE_BYTES):
    """Writes a picture in the best quality that takes so many bytes."""
    with replacing(path) as temporary:
        for quality in range(90, 4, -5):
            Image.fromarray(picture).save(temporary, quality=quality)
            if temporary.stat().st_size <= most:
                return


INTRODUCTION = """\
# Samples, beside those of other generators

The contenders of a set train for equal time on one core, with networks of the
same widths: as many steps as so many minutes hold at the rate that each has
before, in seconds of the core. *CSC-CTRL* draws features from the density of
{density:,} training images ([Images that never were](generation.md)), one
Gaussian of every class ([more are
better](generation.md#how-many-gaussians-and-how-warm)) or, trained without
labels, {components} of all; *as published* it has the rates alone, and [tight
frames and shared statistics](method.md#as-published). The *VAE* decodes noise,
as the *DCGAN* does; *denoising diffusion* takes {diffusion} steps of DDIM. A
row is one training. That is far less than their authors take, and says nothing
of what they end at: after some hundred steps diffusion has hardly begun.

*Fréchet* and *kernel* (times 1,000), *precision* and *recall* are in the
features of a classifier trained on the data set, between test images and as
many samples: they compare with no others, and are not FID. *Asked class*: the
share of samples that the classifier puts in the class that was asked for.
*Nearest*: mean distance to the nearest training image, the root of the mean
square of pixels in [-1, 1]; samples nearer than test images are blurred, or
copies. The first line of a table is what images of the data set have: training
images for distances, precision and recall, and test images for the others.
*Seconds*: of training, by the clock, whatever else ran.
*1,000 in*: seconds of the core to make 1,000 samples, tracing included.
"""
FIGURES = (
    ("Fréchet", "{frechet_distance:.3f}"),
    ("kernel", "{kernel:.2f}"),
    ("precision", "{precision:.3f}"),
    ("recall", "{recall:.3f}"),
    ("asked class", "{asked}"),
    ("nearest", "{near:.3f}"),
)
WORK = (
    ("steps", "{steps:,} of {batch_size}"),
    ("seconds", "{seconds:,.0f}"),
    ("1,000 in", "{seconds_of_1000:.1f} s"),
)


def page(rows, pictures):
    """Text of docs/samples.md, which names those that were not run.

    Args:
        rows: list of the rows of the table.
        pictures: folder of the pictures; only those that it has are shown.
    """
    parts = [
        INTRODUCTION.format(
            density=DENSITY_IMAGES,
            components=COMPONENTS,
            diffusion=generators.DDIM_STEPS,
        )
    ]
    for data_name in plan.SETS:
        own = [row for row in rows if row["data"] == data_name]
        if own:
            parts.append(section(verdicts.TITLES[data_name], own, pictures))
            found = {row["name"] for row in own}
            missing = [
                contender.title
                for contender in CONTENDERS.values()
                if contender.title not in found
            ]
            if missing:
                parts.append(f"Not run here: {'; '.join(missing)}.\n")
    parts.append(
        f"{len(rows)} trainings, {results_page.origin(rows)}. Flags, versions "
        "and all figures are in [studies/samples.json](../studies/samples.json)"
        ", which `python studies/samples.py --data_dir=DATA` makes with this "
        "page."
    )
    return "\n".join(parts) + "\n"


def section(title, rows, pictures):
    """The part of the page about a data set."""
    minutes = sorted({row["minutes"] for row in rows})
    good = [row for row in rows if not row["failed"]]
    body = [_cells(row["name"], row) for row in rows]
    if good:
        images = "*images of the data set*", _of_images(good), FIGURES
        body.insert(0, _cells(*images))
    lines = [
        f"## {title}, {' and '.join(f'{m:g}' for m in minutes)} minutes",
        "",
        tables.markdown(["", *(name for name, _ in FIGURES + WORK)], body),
    ]
    for row in good:
        if not picture_of(row, pictures).exists():
            continue
        how = "a row a class" if row["conditional"] else "of any class"
        lines += [
            "",
            f"![{title}: {row['name']}](pictures/samples_{row['key']}.jpg)",
            "",
            f"*{row['name']}: {how}.*",
        ]
    return "\n".join([*lines, ""])


def _of_images(rows):
    """What images themselves have, as a row without training."""
    classes = [row["same_class_of_images"] for row in rows]
    return {
        **rows[0]["of_training_images"],
        "same_class": next((c for c in classes if c is not None), None),
        "nearest": {"samples": rows[0]["nearest"]["images"]},
        "failed": None,
    }


def _cells(name, row, columns=FIGURES + WORK):
    """A row of a table; it may have the first columns only."""
    if row["failed"]:
        cells = ["not finite"]
    else:
        asked = row["same_class"]
        facts = {
            **row,
            "kernel": 1000 * row["kernel_distance"],
            "near": row["nearest"]["samples"],
            "asked": "" if asked is None else f"{asked:.3f}",
        }
        cells = [form.format(**facts) for _, form in columns]
    return [name, *cells, *[""] * (len(FIGURES + WORK) - len(cells))]


def check(values):
    """Checks the flags before any work.

    Raises:
        UsageError: for one that is missing or out of range.
    """
    for flag, known in (("sets", plan.SETS), ("contenders", CONTENDERS)):
        plan.check_some(flag, values[flag].value, known)
    cores = len(os.sched_getaffinity(0))
    if cores > 1:
        raise command_line.UsageError(
            f"the study compares on one core, and this process has {cores}. "
            "Start it as `taskset -c 0 python studies/samples.py ...`."
        )


def main():
    values = flags.FLAGS
    check(values)
    runs = pathlib.Path(values.runs)
    for data_name in values.sets:
        opened = {}
        for name in values.contenders:
            work(name, data_name, runs, values, opened)


if __name__ == "__main__":
    flags.DEFINE_float(
        "minutes", 30, "Of training, of every contender.", lower_bound=0.01
    )
    flags.DEFINE_list("sets", list(plan.SETS), "Data sets.")
    flags.DEFINE_list("contenders", list(CONTENDERS), "Who trains.")
    flags.DEFINE_integer(
        "images", measure.LIMIT, "Samples and test images.", lower_bound=10
    )
    flags.DEFINE_bool("page", True, "Whether to write the table and page.")
    flags.DEFINE_string("runs", "runs/samples", "Folder of the runs.")
    flags.DEFINE_string("data_dir", None, "Folder of TFDS's data sets.")
    command_line.run(main, user_errors=(data.DataError, OSError))
