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

import itertools
import os
import pathlib
import time

from keras_csc_cli import command_line
from keras_csc_cli.records import identification
from keras_csc_cli.records import read_json
from keras_csc_cli.records import write_json

import numpy as np
from absl import flags
from PIL import Image

from keras_csc import callbacks
from keras_csc import data
from keras_csc import evaluation
from keras_csc.files import locked
from keras_csc.files import replacing
from keras_csc.visualization import image_grid
from studies import contenders
from studies import diffusion
from studies import measure
from studies import page as results_page
from studies import plan
from studies import tables
from studies import verdicts
from studies.contenders import CONTENDERS
from studies.runs import RATE_STEPS
from studies.runs import SETS
from studies.runs import steps_in

HERE = pathlib.Path(__file__).parent
TABLE = HERE / "samples.json"
PAGE = HERE.parent / "docs" / "samples.md"
PICTURES = HERE.parent / "docs" / "pictures"
PICTURE_BYTES = 90_000
SHOWN = 10  # of a class
KEPT = "name", "data", "flags", "seed"  # of a run


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
    timed = contenders.run_of(name, data_name, RATE_STEPS)
    options = measure.options_of(timed, folder, values.data_dir)
    speed = contenders.rate(timed, options, given, folder / "rate.json")
    steps = steps_in(values.minutes, speed, options.batch_size)
    run = contenders.run_of(name, data_name, steps)
    options = measure.options_of(run, folder / "run", values.data_dir)
    conditional = CONTENDERS[name].conditional
    row = {
        "key": f"{data_name}-{name}",
        **{each: getattr(run, each) for each in KEPT},
        "conditional": conditional,
        "minutes": values.minutes,
        "images_per_second": speed,
        "steps": steps,
        "batch_size": options.batch_size,
        "failed": None,
    }
    try:
        sample, facts = contenders.sampler(name, run, options, given)
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
                    opened[data_name] = contenders.material(
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
        rows = tables.put(TABLE, [row], ["key", "minutes"], _order)
        paths = [
            shown.parents[1] / each["key"] / shown.name
            for each in rows
            if _section(each) == _section(row) and not each["failed"]
        ]
        if all(path.exists() for path in paths):
            grids = [image_grid(np.load(path), SHOWN) for path in paths]
            save_jpeg(picture_of(*_section(row)), np.concatenate(grids, axis=1))
        with replacing(PAGE) as temporary:
            temporary.write_text(page(rows), encoding="utf-8")


def picture_of(data_name, minutes):
    """Path of the picture of a section's samples, contender by contender."""
    return PICTURES / f"samples_{data_name}_{minutes:g}.jpg"


def _section(row):
    """Which rows are compared: a set's, after so many minutes."""
    return row["data"], row["minutes"]


def _order(row):
    data_name, name = row["key"].split("-")
    place = list(CONTENDERS).index(name)
    return SETS.index(data_name), row["minutes"], place


def save_jpeg(path, picture, most=PICTURE_BYTES):
    """Writes a picture in the best quality that takes so many bytes."""
    with replacing(path) as temporary:
        for quality in range(90, 4, -5):
            Image.fromarray(picture).save(temporary, quality=quality)
            if temporary.stat().st_size <= most:
                return


INTRODUCTION = """\
# Samples, beside other generators

The contenders of a set train for equal time on one core, with networks of the
same widths. Each is timed first, and then makes as many steps as the minutes
hold, in seconds of the core. Other work on the processor makes these steps
fewer, and not by the same share: read *seconds* beside them. *CSC-CTRL* draws
features from the density of {density:,} training images ([Images that never
were](generation.md)), one Gaussian of every class ([more are
better](generation.md#how-many-gaussians-and-how-warm)) or, trained without
labels, {components} of all. *As published* it has neither a memory nor the
stages' own errors ([The published game](published.md)). The *VAE* decodes
noise, as the *DCGAN* does; *denoising diffusion* takes {diffusion} steps of
DDIM. A row is one training. Their authors train far longer: the table does not
say where a method ends. After some hundred steps diffusion has hardly begun.

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
FORMER = "a former game of ours"
OF_FORMER = f"""\
Rows of *{FORMER}* are of a game that this version has no more: a part of its
features was for the classes, and its decoder compared codes of an image and its
regeneration. They stay until *{plan.OURS}* is run.
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


def page(rows):
    """Text of docs/samples.md, which names the contenders that were not run.

    Args:
        rows: list of the rows of the table, which has sections together.
    """
    introduction = INTRODUCTION.format(
        density=contenders.DENSITY_IMAGES,
        components=contenders.COMPONENTS,
        diffusion=diffusion.DDIM_STEPS,
    )
    former = any(row["name"].startswith(FORMER) for row in rows)
    parts = [introduction, *[OF_FORMER] * former]
    for _, group in itertools.groupby(rows, _section):
        own = list(group)
        names = {row["name"] for row in own}
        titles = [each.title for each in CONTENDERS.values()]
        missing = [title for title in titles if title not in names]
        parts.append(section(own))
        if missing:
            parts.append(f"Not run here: {'; '.join(missing)}.\n")
    parts.append(
        f"{len(rows)} trainings, {results_page.origin(rows)}. Flags, versions "
        "and all figures are in [studies/samples.json](../studies/samples.json)"
        ", which `python studies/samples.py --data_dir=DATA` makes with this "
        "page."
    )
    return "\n".join(parts) + "\n"


def section(rows):
    """The part of the page about a data set, after so many minutes."""
    data_name, minutes = _section(rows[0])
    title = f"{verdicts.TITLES[data_name]}, {minutes:g} minutes"
    picture = picture_of(data_name, minutes)
    good = [row for row in rows if not row["failed"]]
    body = [_cells(row["name"], row) for row in rows]
    if good:
        images = "*images of the data set*", _of_images(good), FIGURES
        body.insert(0, _cells(*images))
    lines = [
        f"## {title}",
        "",
        tables.markdown(["", *(name for name, _ in FIGURES + WORK)], body),
    ]
    if good and picture.exists():
        names = [
            f"{row['name']}, "
            + ("a row a class" if row["conditional"] else "of any class")
            for row in good
        ]
        lines += [
            "",
            f"![{title}: samples](pictures/{picture.name})",
            "",
            f"*From the left: {'; '.join(names)}.*",
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
    for flag, known in (("sets", SETS), ("contenders", CONTENDERS)):
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
    flags.DEFINE_list("sets", list(SETS), "Data sets.")
    flags.DEFINE_list("contenders", list(CONTENDERS), "Who trains.")
    flags.DEFINE_integer(
        "images", measure.LIMIT, "Samples and test images.", lower_bound=10
    )
    flags.DEFINE_bool("page", True, "Whether to write the table and page.")
    flags.DEFINE_string("runs", "runs/samples", "Folder of the runs.")
    flags.DEFINE_string("data_dir", None, "Folder of TFDS's data sets.")
    command_line.run(main, user_errors=(data.DataError, OSError))
