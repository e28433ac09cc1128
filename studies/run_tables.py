"""Tables of the page of the studies: of runs, rates, batches and noise."""

import statistics

import numpy as np

from studies import plan
from studies import published
from studies import verdicts
from studies.judging import look_up
from studies.runs import SETS
from studies.tables import markdown

FIGURES = {
    "labels": ("labels", "{}"),
    "PSNR, dB": ("psnr", "{:.2f}"),
    "Fréchet": ("frechet_distance", "{:.2f}"),
    "of samples": ("samples", "{:.2f}"),
    "retrieval": ("retrieval", "{:.3f}"),
    "same class": ("same_class", "{:.3f}"),
    "nearest subspace": ("nearest_subspace_accuracy", "{:.3f}"),
    "5-NN": ("centered_knn_accuracy", "{:.3f}"),
    "zeros": ("zero_fraction", "{}"),
    "explained": ("explained", "{}"),
    "weights": ("weights", "{:,.0f}"),
    "steps": ("steps", "{:,.0f}"),
    "seconds": ("seconds", "{:.0f}"),
}
WHOLE = ("weights", "steps", "seconds")


def marked(name, rows, table):
    """A name or verdict, with an asterisk if one of its rows is former."""
    former = any(row["key"] in table.former for row in rows)
    return rf"{name}\*" if former else name


def cell(rows, figure):
    """A figure of a run's seeds as text."""
    path, form = FIGURES[figure]
    values = [look_up(row, path) for row in rows]
    if any(row["failed"] for row in rows):
        return "not finite"
    if None in values:
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
    found = {name: rows for name in names if (rows := table.of(data, name))}
    if not found:
        return ""
    real = next(iter(found.values()))[0].get("same_class_of_images")
    body = [["*test images*", *("" for _ in columns)]]
    if "same class" in columns and real is not None:
        body[0][1 + columns.index("same class")] = f"{real:.3f}"
    body += [
        [marked(name, rows, table), *(cell(rows, each) for each in columns)]
        for name, rows in found.items()
    ]
    return markdown([verdicts.TITLES[data], *columns], body)


def rates_of(table):
    """The study of rates: for every set a table of what is there."""
    found = [_rates_of(data, table) for data in published.ENCODER_RATES]
    return "\n\n".join(filter(None, found))


def _rates_of(data, table):
    """The rates of a set: a row for every rate of the encoder."""
    try:
        grids = [verdicts.rates_grid(data, table, p) for p in published.PLAYERS]
    except KeyError:
        return ""
    body = [
        [f"{rate:g}", *(", ".join(f"{x:.3f}" for x in pair) for pair in pairs)]
        for rate, pairs in zip(
            published.ENCODER_RATES[data], np.stack(grids, -1)
        )
    ]
    ratios = [f"decoder {ratio} times" for ratio in published.DECODER_RATIOS]
    pair = published.rate_pairs(data)[0]
    ours, conv = (
        table.first(data, published.at_rates(player, *pair), "weights")
        for player in published.PLAYERS
    )
    return (
        f"*Same class* of {verdicts.TITLES[data]} after "
        f"{published.RATES_STEPS[data]} steps, by sparse coding ({ours:,} "
        f"weights) and, after the comma, by convolutions ({conv:,} weights), "
        "by the rate of the encoder and how many times as high the decoder's "
        "rate is. One seed.\n\n"
        + markdown(["rate of the encoder", *ratios], body)
    )


def batches_of(table):
    """The study of smaller batches: a row for every size."""
    body = []
    for size in published.BATCHES:
        cells = (_best_cells(table, p, size) for p in published.PLAYERS)
        body.append([f"{size}", *sum(cells, [])])
    columns = [
        f"{player}: {what}"
        for player in published.PLAYERS
        for what in ("pairs that end well", "best pair", "same class")
    ]
    return (
        "With the first seed, and at the best pair of rates of encoder and "
        "decoder with three.\n\n"
        + markdown(["images in a batch", *columns], body)
    )


def _best_cells(table, player, size):
    """How many pairs of rates end well, the best, and its same class."""
    try:
        best = verdicts.best_of(table, player, size)
    except KeyError:
        return [""] * 3
    pairs = published.pairs_of(player, size)
    names = [published.of_batches(player, size, *pair) for pair in pairs]
    found = [table.first("digits", n, "same_class") for n in names]
    well = sum(value >= verdicts.ENDS_WELL["digits"] for value in found)
    rows = table.of("digits", published.of_batches(player, size, *best))
    return [
        f"{well} of {len(pairs)}",
        f"{best[0]:g}, {best[0] * best[1]:g}",
        cell(rows, "same class"),
    ]


def unseen_of(table):
    """Tables of unseen images and of noise; empty without rows."""
    tables = [_unseen_of(data, table) for data in SETS]
    if not any(tables):
        return ""
    return "\n\n".join(
        [
            "## Unseen images, and noise",
            "PSNR in dB of images of sets that training never saw, and of test "
            "images with Gaussian noise of deviation σ in units of [0, 1]: "
            "as they are regenerated and, after the comma, with the λ of the "
            "first stage that is best on validation images.",
            *filter(None, tables),
        ]
    )


def _unseen_of(data, table):
    rows = {
        name: found[0]
        for name in plan.CONTENDERS
        if (found := table.of(data, name)) and found[0].get("unseen")
    }
    if not rows:
        return ""
    first = next(iter(rows.values()))
    levels = [f"σ = {level}" for level in first["noise"]]
    body = [
        [
            marked(name, [row], table),
            *(f"{psnr:.2f}" for psnr in row["unseen"].values()),
            *map(_noise_cell, row["noise"].values()),
        ]
        for name, row in rows.items()
    ]
    title = f"trained on {verdicts.TITLES[data]}"
    return markdown([title, *first["unseen"], *levels], body)


def _noise_cell(found):
    ways = "reconstruction", "chosen sparsity"
    return ", ".join(f"{found[w]['psnr']:.2f}" for w in ways if w in found)
