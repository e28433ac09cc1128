"""Writes what pages and cards have of the studies' rows.

    python studies/page.py

In `PAGES` of the documentation a comment such as `<!-- quality cifar10 -->`
names what stands below it, up to the next empty line: a table of a study, or
one of `PARTS`. The rest of a page is written by hand. The cards of the models
in `CURVES` get a section, `LENGTHS`.
"""

import json
import pathlib
import re
import statistics

from keras_csc_cli import command_line

import numpy as np

from keras_csc.export.card import CARD
from keras_csc.export.card import model_card
from keras_csc.files import replacing
from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.models import presets
from keras_csc.presets.folder import CARD_FILE
from keras_csc.presets.folder import METADATA_FILE
from studies import plan
from studies import verdicts
from studies.judging import Table
from studies.judging import look_up
from studies.runs import TABLE
from studies.tables import markdown
from studies.tables import rows_of
from studies.verdicts import TITLES

DOCS = pathlib.Path(__file__).parents[1] / "docs"
PAGES = DOCS / "results" / "README.md", DOCS / "options.md"
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
# Columns of a study's tables; the published game has a page of its own.
OF_STUDY = {
    "quality": (
        *("labels", "PSNR, dB", "Fréchet", "of samples", "same class", "5-NN"),
        *("nearest subspace", "zeros", *WHOLE),
    ),
    "players": (*IMAGES, *WHOLE),
    "longer": (*IMAGES, "zeros", *WHOLE),
    "front": (*IMAGES, "of samples", "nearest subspace", "zeros"),
    "game": (*IMAGES, "zeros"),
    "time": (*IMAGES, "zeros", "steps", "seconds"),
    "features": (*IMAGES, "nearest subspace", "zeros", "seconds"),
}
# Trained models, their data, and how the names of their runs begin.
CURVES = {
    "csc_ctrl_digits": ("digits", ""),
    "csc_ctrl_fashion_mnist": ("fashion_mnist", ""),
    "csc_ctrl_cifar10": ("cifar10", "384 features, "),
    "csc_ctrl_cifar10_unlabelled": ("cifar10", "256 features without labels, "),
}
LENGTHS = "fewer and more steps"  # title of the section
ABOUT_LENGTHS = (
    "Other trainings by the same flag file. The learning rate falls to 0 at "
    "the last step of each. 5-NN is by at most 5,000 training images. Seconds "
    "are of one core beside other work."
)
# The first seed searches for rates: the page has what played with others, too.
SEARCH = "players"


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


def table_of_study(name, data, table):
    """The table of a study's runs on a set."""
    names = dict.fromkeys(
        run.name for run in plan.STUDIES[name]() if run.data == data
    )
    if name == SEARCH:
        names = [n for n in names if len(table.of(data, n)) > 1]
    return table_of(data, OF_STUDY[name], names, table)


def lengths(model, table):
    """The section of a model's card on trainings of other lengths."""
    data, beginning = CURVES[model]
    names = [
        run.name
        for run in plan.time()
        if run.data == data and run.name.startswith(beginning)
    ]
    rows = table_of(data, OF_STUDY["time"], names, table)
    return f"{ABOUT_LENGTHS}\n\n{rows}"


# === Parts of the page ===


def judged(table):
    """The claims and their verdicts."""
    body = []
    for claim in verdicts.CLAIMS:
        asked = Table(table.rows)
        word, sentence = verdicts.verdict(claim, asked)
        word = marked(f"**{word}**", asked.asked, table)
        body.append([claim.text, claim.rule, word, sentence])
    return markdown(["claim", "rule", "verdict", "figures"], body)


def missing(table):
    """How many runs of the plan have no row."""
    keys = {row["key"] for row in table.rows}
    runs = plan.runs()
    count = sum(run.key not in keys for run in runs)
    if not count:
        return f"All {len(runs)} planned runs are measured."
    return f"Of {len(runs)} planned runs {count} are to be measured."


def warning(table):
    """What the asterisks mean, or that there are none."""
    if not table.former:
        return "All rows are of the flag files of today."
    return (
        f"**{len(table.former)} of the {len(table.rows)} rows, those with an "
        "asterisk, are of flag files that have changed since**; so are, in "
        "part, the verdicts with one."
    )


def origin(table):
    """When, on what machines and with what code the rows were made."""
    rows = table.rows
    flags = sorted({flag for row in rows for flag in row["flags"]})
    policies = [f.partition("=")[2] for f in flags if "--dtype_policy=" in f]
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
        f"{len(rows)} rows of one core each, {dates[0]} to {dates[-1]}, on "
        f"{'; '.join(machines)}; commits {', '.join(commits)}. "
        f"They compute in {', '.join(policies)}."
    )


PARTS = {
    "former rows": warning,
    "verdicts": judged,
    "missing": missing,
    "origin": origin,
}


def page(table, text):
    """The page's text, with what stands below its comments made anew."""

    def anew(match):
        name = match[2]
        if name in PARTS:
            part = PARTS[name](table)
        else:
            part = table_of_study(*name.split(), table)
        return "\n".join(filter(None, (match[1], part))) + "\n"

    return re.sub(r"(<!-- (.+) -->)\n(?:.+\n)*", anew, text)


def write_card(name, table):
    """Writes the section into a card, as data and as text."""
    folder = presets.TRAINED / name
    metadata = json.loads((folder / METADATA_FILE).read_text())
    card = metadata[CARD]
    licence = card.pop("licence")  # stays the last section
    card |= {LENGTHS: lengths(name, table), "licence": licence}
    model = ClosedLoopAutoencoder.from_preset(name)
    text = model_card(model, name, None, {}, card)
    for file, content in (
        (METADATA_FILE, json.dumps(metadata, indent=2) + "\n"),
        (CARD_FILE, text),
    ):
        with replacing(folder / file) as new:
            new.write_text(content, encoding="utf-8")


def main():
    table = Table(rows_of(TABLE))
    for path in PAGES:
        text = page(table, path.read_text())
        with replacing(path) as new:
            new.write_text(text)
        print(f"{path}: {len(text.splitlines())} lines")
    for name in CURVES:
        write_card(name, table)


if __name__ == "__main__":
    command_line.run(main)
