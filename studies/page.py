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
from studies.run import TABLE
from studies.tables import markdown
from studies.tables import rows_of

DOCS = pathlib.Path(__file__).parents[1] / "docs"
PAGE = DOCS / "results" / "README.md"
PICTURE = DOCS / "pictures" / "regenerations_batches_digits.png"
FIGURES = {
    "PSNR, dB": ("psnr", "{:.2f}"),
    "SSIM": ("ssim", "{:.3f}"),
    "Fréchet": ("frechet_distance", "{:.2f}"),
    "retrieval": ("retrieval", "{:.3f}"),
    "same class": ("same_class", "{:.3f}"),
    "nearest subspace": ("nearest_subspace_accuracy", "{:.3f}"),
    "5-NN": ("centered_knn_accuracy", "{:.3f}"),
    "5-NN, part": ("class_part/centered_knn_accuracy", "{:.3f}"),
    "zeros": ("zero_fraction", "{}"),
    "weights": ("weights", "{:,.0f}"),
    "steps": ("steps", "{:.0f}"),
    "seconds": ("seconds", "{:.0f}"),
    "explained": ("explained", "{}"),
    "non-zeros": ("nonzeros", "{}"),
}
WHOLE = ("weights", "steps", "seconds")
OF_STUDY = {
    "published": [
        "PSNR, dB",
        "retrieval",
        "same class",
        "nearest subspace",
        "zeros",
        "seconds",
    ],
    "quality": list(FIGURES)[:-2],
    "ablation": [
        "PSNR, dB",
        "same class",
        "nearest subspace",
        "5-NN",
        "5-NN, part",
        "explained",
        "non-zeros",
        "weights",
        "seconds",
    ],
}
INTRODUCTION = f"""\
A model of sparse coding layers is one network: its decoder draws with the
encoder's atoms. There is a row for every run that was measured.

In comparisons every method trains for {plan.MINUTES} minutes of one core. The
number of its steps comes from the measured rate of its network
([studies/rates.json](../../studies/rates.json)). Each has 128 numbers an image.
The layers of convolutions are as wide as signed codes and their negatives, or
narrower, with as many weights as ours. The published games take 100 to 800
steps here, and 45,000 in the code of their authors: the figures say nothing of
them at that length."""
FIRST_PICTURE = f"""\
![Regenerations of digits](../pictures/{PICTURE.name})

*The published game with smaller batches: regenerations of test digits, with
seed 1.*"""
LEGEND = """\
*Retrieval*: the share of regenerations whose nearest neighbour among the
features of all test images is their own image. *Same class*: the share of
regenerations that a classifier, trained on real images, puts in the image's
class. *Nearest subspace*: accuracy of the subspaces of 10 components that the
classes of 5,000 training images span. *5-NN*: accuracy of five neighbours of
centred features. *Part*: of the features for the classes alone. By stage:
*zeros*, the share of the codes that are 0; *explained*, the share of the input
that the codes draw, `1 - Σ(x - D z)² / Σx²`; *non-zeros*, codes that are not 0,
divided by the count of numbers in the input. *Fréchet*: a distance in that
classifier's features, which compares with no others.
A figure after ± is the standard deviation over seeds; without one there is one
seed. *Seconds*: of training, by the clock. They do not compare speeds: machines
differed, and other work ran beside."""


def marked(name, rows):
    """A name or verdict, with an asterisk if one of its rows is former."""
    return rf"{name}\*" if plan.former(rows) else name


def cell(rows, figure):
    """A figure of a run's seeds as text."""
    path, form = FIGURES[figure]
    values = [verdicts.look_up(row, path) for row in rows]
    if any(row["failed"] for row in rows):
        return "not finite"
    if None in values:
        return ""
    if isinstance(values[0], list):
        return " ".join(f"{v:.2f}" for v in np.mean(values, 0))
    text = form.format(statistics.fmean(values))
    if len(values) > 1 and figure not in WHOLE:
        text += f" ± {form.format(statistics.stdev(values))}"
    return text


def table_of(title, columns, names, table, data):
    """A Markdown table of runs on a set; empty without rows."""
    body = [
        [marked(name, rows), *(cell(rows, figure) for figure in columns)]
        for name in names
        if (rows := table.of(data, name))
    ]
    return markdown([title, *columns], body) if body else ""


def rates_of(table):
    """The study of rates: for every set a table of what is there."""
    found = [_rates_of(data, table) for data in plan.ENCODER_RATES]
    return "\n\n".join(filter(None, found))


def _rates_of(data, table):
    """The rates of a set: a row for every rate of the encoder."""
    try:
        grids = [verdicts.rates_grid(data, table, p) for p in plan.PLAYERS]
    except KeyError:
        return ""
    body = [
        [f"{rate:g}", *(", ".join(f"{x:.3f}" for x in pair) for pair in pairs)]
        for rate, pairs in zip(plan.ENCODER_RATES[data], np.stack(grids, -1))
    ]
    ratios = [f"decoder {ratio} times" for ratio in plan.DECODER_RATIOS]
    pair = plan.rate_pairs(data)[0]
    ours, conv = (
        table.first(data, plan.at_rates(player, *pair), "weights")
        for player in plan.PLAYERS
    )
    return (
        f"*Same class* of {verdicts.TITLES[data]} after "
        f"{plan.RATES_STEPS[data]} steps, by sparse coding ({ours:,} weights) "
        f"and, after the comma, by convolutions ({conv:,} weights), by the "
        "rate of the encoder and how many times as high the decoder's rate "
        "is. One seed.\n\n" + markdown(["rate of the encoder", *ratios], body)
    )


def batches_of(table):
    """The study of smaller batches: a row for every size."""
    body = []
    for size in plan.BATCHES:
        body.append([f"{size}"])
        for player in plan.PLAYERS:
            try:
                best = verdicts.best_of(table, player, size)
            except KeyError:
                body[-1] += [""] * 3
                continue
            pairs = plan.pairs_of(player, size)
            names = [plan.of_batches(player, size, *pair) for pair in pairs]
            found = [table.first("digits", n, "same_class") for n in names]
            well = sum(value >= verdicts.ENDS_WELL["digits"] for value in found)
            rows = table.of("digits", plan.of_batches(player, size, *best))
            body[-1] += [
                f"{well} of {len(pairs)}",
                f"{best[0]:g}, {best[0] * best[1]:g}",
                cell(rows, "same class"),
            ]
    columns = [
        f"{player}: {what}"
        for player in plan.PLAYERS
        for what in ("pairs that end well", "best pair", "same class")
    ]
    return (
        "With the first seed, and at the best pair of rates of encoder and "
        "decoder with three.\n\n"
        + markdown(["images in a batch", *columns], body)
    )


# Studies whose tables are not of rows.
TABLES = {"rates": rates_of, "batches": batches_of}


def study_of(name, table):
    """The part of the page about a study."""
    study = plan.study(name)
    by_data = {}
    for run in study.runs:
        by_data.setdefault(run.data, {})[run.name] = None
    tables = (
        [TABLES[name](table)]
        if name in TABLES
        else [
            table_of(verdicts.TITLES[data], OF_STUDY[name], names, table, data)
            for data, names in by_data.items()
        ]
    )
    keys = {row["key"] for row in table.rows}
    missing = sum(run.key not in keys for run in study.runs)
    parts = [
        f"## {study.title}",
        study.question,
        f"Of {len(study.runs)} runs {missing} are to be measured."
        if missing
        else "",
        *tables,
    ]
    return "\n\n".join(part for part in parts if part)


def unseen_of(table):
    """Tables of unseen images and of noise."""
    tables = []
    for data in plan.SETS:
        rows = [
            (name, table.of(data, name)[0])
            for name in plan.CONTENDERS
            if table.of(data, name) and table.of(data, name)[0].get("unseen")
        ]
        if not rows:
            continue
        sets = list(rows[0][1]["unseen"])
        levels = list(rows[0][1]["noise"])
        title = f"trained on {verdicts.TITLES[data]}"
        columns = [title, *sets, *(f"σ = {level}" for level in levels)]
        body = []
        for name, row in rows:
            cells = [f"{row['unseen'][other]:.2f}" for other in sets]
            for level in levels:
                found = row["noise"][level]
                text = f"{found['reconstruction']['psnr']:.2f}"
                if "chosen sparsity" in found:
                    text += f", {found['chosen sparsity']['psnr']:.2f}"
                cells.append(text)
            body.append([marked(name, [row]), *cells])
        tables.append(markdown(columns, body))
    if not tables:
        return ""
    return "\n\n".join(
        [
            "## Unseen images, and noise",
            "PSNR in dB of images of sets that training never saw, and of test "
            "images with Gaussian noise of deviation σ in units of [0, 1]: "
            "as they are regenerated and, after the comma, with the λ of the "
            "first stage that is best on validation images.",
            *tables,
        ]
    )


def about(rows):
    """Where the figures come from."""
    planned = len(plan.runs())
    if not rows:
        return f"None of the {planned} runs is there yet."
    return (
        f"{len(rows)} of {planned} planned runs are there, {origin(rows)}. "
        "Flags, date and all figures of a run are in "
        "[studies/results.json](../../studies/results.json), made by `python "
        "studies/run.py --data_dir=DATA`; this page by `python "
        "studies/page.py`. Test splits, at most 5,000 images, in inference "
        f"mode.{precision(rows)}"
    )


def precision(rows):
    """A sentence on rows that were not computed as the flag files say."""
    single = [
        row for row in rows if row["flags"][-1:] == ["--dtype_policy=float32"]
    ]
    if not single:
        return ""
    others = sum(row["data"] != "digits" for row in single)
    return (
        f" Rows of digits are in float32, and so are {others} others. The rest "
        "is in bfloat16."
    )


def warning(rows):
    """What the asterisks mean; empty where there is none."""
    former = plan.former(rows)
    if not former:
        return ""
    return (
        f"**{len(former)} of the {len(rows)} rows, those with an asterisk, are "
        "of flag files or equal times that have changed since**; so are, in "
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
        asked = verdicts.Table(table.rows)
        word, sentence = verdicts.verdict(claim, asked)
        word = marked(f"**{word}**", asked.asked)
        body.append([claim.text, claim.rule, word, sentence])
    return "\n".join(
        [
            "## Claims and verdicts",
            "",
            markdown(["claim", "rule", "verdict", "figures"], body),
            "",
            "The rules ([studies/verdicts.py](../../studies/verdicts.py)) were "
            "fixed before the test figures were there; the thresholds of "
            "clothes after figures of validation images, by which the game's "
            "settings were chosen; the rule of fifteen pairs of rates when "
            "nine of them had run; the rule of the clothes' rates, and the "
            "search for rates with smaller batches, when one pair had run. "
            "Where there are several seeds, means are judged.",
        ]
    )


def page(table):
    """The page as text."""
    parts = [
        "# What the method does, measured",
        INTRODUCTION,
        warning(table.rows),
        FIRST_PICTURE,
        judged(table),
        "## Reading the tables",
        LEGEND,
        *(study_of(name, table) for name in plan.STUDIES),
        unseen_of(table),
        "## Where the figures come from",
        about(table.rows),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def main():
    table = verdicts.Table(rows_of(TABLE))
    text = page(table)
    with replacing(PAGE) as new:
        new.write_text(text)
    print(f"{PAGE}: {len(text.splitlines())} lines")


if __name__ == "__main__":
    command_line.run(main)
