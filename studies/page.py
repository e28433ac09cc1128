"""Writes the page of the studies, docs/results/README.md, from their table.

python studies/page.py
"""

import pathlib
import statistics

from keras_csc_cli import command_line

import numpy as np

from keras_csc.files import replacing
from studies import plan
from studies import verdicts
from studies.judging import Table
from studies.judging import look_up
from studies.judging import verdict
from studies.runs import SETS
from studies.runs import TABLE
from studies.tables import markdown
from studies.tables import rows_of
from studies.verdicts import TITLES

DOCS = pathlib.Path(__file__).parents[1] / "docs"
PAGE = DOCS / "results" / "README.md"
# Where a row has a figure, and how it is written.
FIGURES = {
    "labels": ("labels", "{}"),
    "PSNR, dB": ("psnr", "{:.2f}"),
    "Fréchet": ("frechet_distance", "{:.2f}"),
    "of samples": ("samples", "{:.2f}"),
    "same class": ("same_class", "{:.3f}"),
    "nearest subspace": ("nearest_subspace_accuracy", "{:.3f}"),
    "5-NN": ("centered_knn_accuracy", "{:.3f}"),
    "zeros": ("zero_fraction", "{}"),
    "weights": ("weights", "{:,.0f}"),
    "steps": ("steps", "{:,.0f}"),
    "seconds": ("seconds", "{:.0f}"),
}
WHOLE = ("weights", "steps", "seconds")
IMAGES = "same class", "PSNR, dB", "5-NN", "Fréchet"
# The tables of other studies are on other pages.
OF_STUDY = {
    "quality": (
        *("labels", "PSNR, dB", "Fréchet", "of samples", "same class", "5-NN"),
        *("nearest subspace", "zeros", *WHOLE),
    ),
    "players": (*IMAGES, *WHOLE),
    "time": (*IMAGES, "zeros", "steps", "seconds"),
}
# The first seed searches for rates: the page has what played with others, too.
SEARCH = "players"
LEAD = """\
Claims, the rules that judge them, and what came out. *Our game* is that of the
flag files: a rate reduction in one pass, with a memory of many batches, the
stages' own errors and the multi-stage term. *The published game*, that of the
files `*_published.flags`, is the rate reduction alone, in alternating steps. It
takes 100 to 800 steps here, and 45,000 in the code of its authors: the figures
say nothing of it at that length. A claim whose runs are missing is *not
run*."""
RULES = """\
The rules are in [studies/verdicts.py](../../studies/verdicts.py). Where there
are several seeds, means are judged. The rules on our game are older than their
runs. So are the rules on the published game, with three exceptions: the
thresholds of clothes, the fifteen pairs of rates, and the clothes' rates came
when some of their runs were there."""
ELSEWHERE = """\
Which options matter, and the weights of the multi-stage term:
[options](../options.md). The published game, at other rates and with smaller
batches: [its page](../published.md)."""
PICTURES = {
    "batches": {
        "digits": "The published game with smaller batches: regenerations of "
        "test digits, with seed 1."
    },
    "front": {
        data: "Test images, and below them their regenerations, by the weight "
        "of the multi-stage term."
        for data in SETS
    },
}
LEGEND = """\
A row is of one run, or of three seeds: then ± is their standard deviation.
*Labels*: whether training used the classes of the images. *Same class*: the
share of regenerations that a classifier of real images puts in the image's
class; the row *test images* has what it says of the images themselves.
*Fréchet*: a distance between images and regenerations in that classifier's
features, which compares with no others; *of samples*: the same of new images,
by the first seed. It trained a second time for samples, other sets and noise.
*5-NN*: accuracy of five neighbours of centred features among 5,000 training
images. *Nearest subspace*: accuracy of the subspaces of 10 components that the
classes of these span. *Zeros*: the share of the codes that are 0, by stage.
*Seconds*: of training, by the clock, beside other work. Steps of equal time are
counted by the processor."""


def picture_of(study, data):
    """Path of the picture of a study's regenerations of a set."""
    return DOCS / "pictures" / f"regenerations_{study}_{data}.png"


def pictures_of(study):
    """The pictures of a study that there are, in Markdown."""
    return "\n\n".join(
        f"![{TITLES[data]}: regenerations](../pictures/{path.name})\n\n*{text}*"
        for data, text in PICTURES.get(study, {}).items()
        if (path := picture_of(study, data)).exists()
    )


# === Tables ===


def marked(name, rows, table):
    """A name or verdict, with an asterisk if one of its rows is former."""
    former = any(row["key"] in table.former for row in rows)
    return rf"{name}\*" if former else name


def cell(rows, figure):
    """A figure of a run's seeds as text."""
    path, form = FIGURES[figure]
    # Samples are of the first seed alone.
    values = [v for row in rows if (v := look_up(row, path)) is not None]
    if any(row["failed"] for row in rows):
        return "not finite"
    if not values:
        return ""
    if isinstance(values[0], bool):
        return "yes" if values[0] else "no"
    if isinstance(values[0], list):
        return " ".join(f"{v:.2f}" for v in np.mean(values, 0))
    text = form.format(statistics.fmean(values))
    if len(values) > 1 and figure not in WHOLE:
        text += f" ± {form.format(statistics.stdev(values))}"
    return text


def table_of(data, columns, names, table):
    """A Markdown table of runs on a set; empty without rows."""
    of_images = set(columns) - {"labels", *WHOLE}
    paths = [FIGURES[each][0] for each in of_images]
    found = {}
    for name in names:
        rows = [
            row
            for row in table.of(data, name)
            if row["failed"] or any(look_up(row, path) for path in paths)
        ]
        if rows:
            found[name] = rows
    if not found:
        return ""
    real = next(iter(found.values()))[0].get("same_class_of_images")
    body = []
    if "same class" in columns and real is not None:
        body = [["*test images*", *("" for _ in columns)]]
        body[0][1 + columns.index("same class")] = f"{real:.3f}"
    body += [
        [marked(name, rows, table), *(cell(rows, each) for each in columns)]
        for name, rows in found.items()
    ]
    return markdown([TITLES[data], *columns], body)


def study_of(name, table):
    """The part of the page about a study."""
    study = plan.study(name)
    by_data = {}
    for run in study.runs:
        by_data.setdefault(run.data, {})[run.name] = None
    keys = {row["key"] for row in table.rows}
    count = sum(run.key not in keys for run in study.runs)
    missing = f"Of {len(study.runs)} runs {count} are to be measured."
    parts = [f"## {study.title}", study.question, missing if count else ""]
    for data, names in by_data.items():
        if name == SEARCH:
            names = [n for n in names if len(table.of(data, n)) > 1]
        parts.append(table_of(data, OF_STUDY[name], names, table))
    return "\n\n".join(part for part in parts if part)


# === Page ===


def about(rows):
    """Where the figures come from."""
    single = sum("--dtype_policy=float32" in row["flags"] for row in rows)
    return (
        f"{len(rows)} of {len(plan.runs())} planned runs are there, "
        f"{origin(rows)}. {single} are in float32, the others in bfloat16. "
        "Flags, date and all figures of a run are in "
        "[studies/results.json](../../studies/results.json), made by `python "
        "studies/run.py --data_dir=DATA`; this page by `python "
        "studies/page.py`. Test splits, at most 5,000 images, in inference "
        "mode."
    )


def warning(table):
    """What the asterisks mean; empty where there is none."""
    if not table.former:
        return ""
    return (
        f"**{len(table.former)} of the {len(table.rows)} rows, those with an "
        "asterisk, are of flag files that have changed since**; so are, in "
        "part, the verdicts with one."
    )


def origin(rows):
    """When, on what machines and with what code the rows were made."""
    commits = sorted({str(row["about"]["commit"]) for row in rows})
    machines = sorted(
        {
            f"{row['about']['processor']}, TensorFlow "
            f"{row['about']['tensorflow']}, Keras {row['about']['keras']}"
            for row in rows
        }
    )
    dates = sorted(row["about"]["date"][:10] for row in rows)
    return (
        f"of one core each, {dates[0]} to {dates[-1]}, on "
        f"{'; '.join(machines)}; commits {', '.join(commits)}"
    )


def judged(table):
    """The claims and their verdicts."""
    body = []
    for claim in verdicts.CLAIMS:
        asked = Table(table.rows)
        word, sentence = verdict(claim, asked)
        word = marked(f"**{word}**", asked.asked, table)
        body.append([claim.text, claim.rule, word, sentence])
    head = ["claim", "rule", "verdict", "figures"]
    return f"## Claims and verdicts\n\n{markdown(head, body)}\n\n{RULES}"


def page(table):
    """The page as text."""
    parts = [
        "# What the method does, measured",
        LEAD,
        warning(table),
        judged(table),
        *map(pictures_of, PICTURES),
        "## Reading the tables",
        LEGEND,
        *(study_of(name, table) for name in OF_STUDY),
        ELSEWHERE,
        "## Where the figures come from",
        about(table.rows),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def main():
    table = Table(rows_of(TABLE))
    text = page(table)
    with replacing(PAGE) as new:
        new.write_text(text)
    print(f"{PAGE}: {len(text.splitlines())} lines")


if __name__ == "__main__":
    command_line.run(main)
