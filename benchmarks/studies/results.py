"""The finished pieces of the studies, and tables of them."""

import collections

import numpy as np

from benchmarks.studies.contenders import CONTENDERS
from benchmarks.studies.data import SETS

Result = collections.namedtuple("Result", ["labels", "piece", "row"])


class Results:
    """Rows of the studies by their labels.

    Args:
        studies: dict of `definitions.Study`.
        plan: `plan.Plan`.
    """

    def __init__(self, studies, plan):
        self.plan = plan
        self.scale = plan.scale
        self.rows = plan.rows
        self.studies = {}
        self.missing = {}
        for number, study in studies.items():
            entries = list(study.entries(plan))
            rows = [plan.rows.get(entry.piece) for entry in entries]
            self.studies[number] = [
                Result(entry.labels, entry.piece, row)
                for entry, row in zip(entries, rows)
                if row
            ]
            self.missing[number] = rows.count(None)

    def select(self, study, measure=None, **labels):
        """Results of a study that carry these labels."""
        return [
            result
            for result in self.studies.get(study, [])
            if (measure is None or result.piece.measure == measure)
            and all(result.labels.get(k) == v for k, v in labels.items())
        ]

    def values(self, study, figure, **labels):
        """A figure's values, in the order of the study; those there are.

        Args:
            study: key of the studies.
            figure: name, or names joined by `/` for a figure in a dict.
            **labels: which results; and `measure`.
        """
        found = [
            look_up(result.row["figures"], figure)
            for result in self.select(study, **labels)
        ]
        return np.array([value for value in found if value is not None])

    def mean(self, study, figure, **labels):
        """Mean of a figure's values, or `None`."""
        values = self.values(study, figure, **labels)
        return float(np.mean(values)) if len(values) else None

    def label_values(self, study, label):
        """The different values of a label, in the order of the study."""
        found = [r.labels.get(label) for r in self.studies.get(study, [])]
        return list(dict.fromkeys(v for v in found if v is not None))


def look_up(figures, path):
    """A figure by its name, or by names joined by `/`; `None` if missing."""
    for name in path.split("/"):
        if isinstance(figures, list):
            figures = dict(enumerate(figures))
            name = int(name)
        if not isinstance(figures, dict) or name not in figures:
            return None
        figures = figures[name]
    return figures


def table(results, study, by, columns, **only):
    """A Markdown table with a row for each group of results.

    Groups of a label's value stand together, contenders in their usual order.

    Args:
        results: `Results`.
        study: key.
        by: dict from the labels that make a group to their headings.
        columns: list of `(heading, figure, format)`; a column without values
            is left out.
        **only: for a label, the values that are shown.

    Returns:
        String; empty without results.
    """
    groups = {}
    for result in results.studies.get(study, []):
        if any(result.labels.get(name) not in only[name] for name in only):
            continue
        key = tuple(result.labels.get(label) for label in by)
        groups.setdefault(key, []).append(result.row["figures"])
    orders = [_order(results, study, label) for label in by]
    orders[-1] = orders[-1] if list(by)[-1] == "contender" else {}
    lines = []
    for key in sorted(
        groups, key=lambda key: [o.get(v, 0) for o, v in zip(orders, key)]
    ):
        figures = groups[key]
        failed = any("failed" in f for f in figures)
        cells = [_cell(figures, path, form) for _, path, form in columns]
        if failed:
            cells[0] = "diverged"
        if any(cells):
            lines.append([*(_label(value) for value in key), *cells])
    return markdown(
        [*by.values(), *(heading for heading, _, _ in columns)], lines
    )


def _order(results, study, label):
    """Places of a label's values: of contenders, or of their first rows."""
    values = results.label_values(study, label)
    if label == "contender":
        values = list(CONTENDERS)
    return {value: place for place, value in enumerate(values)}


def pivot(results, study, rows, columns, figure, form, **labels):
    """A Markdown table of one figure by two labels."""
    heads = results.label_values(study, columns[0])
    lines = []
    for row in results.label_values(study, rows[0]):
        cells = []
        for head in heads:
            chosen = {rows[0]: row, columns[0]: head, **labels}
            found = results.select(study, measure="evaluation", **chosen)
            figures = [result.row["figures"] for result in found]
            failed = any("failed" in f for f in figures)
            cell = _cell(figures, figure, form)
            cells.append("diverged" if failed else cell)
        lines.append([_label(row), *cells])
    heads = [f"{columns[1]} {_label(head)}".strip() for head in heads]
    return markdown([rows[1], *heads], lines)


def markdown(heads, lines):
    """A table without the columns that are empty in every line."""
    if not lines:
        return ""
    kept = [i for i in range(len(heads)) if any(line[i] for line in lines)]
    lines = [heads, ["-"] * len(heads), *lines]
    return "\n".join(
        f"| {' | '.join(str(line[i]) for i in kept)} |" for line in lines
    )


def text(values, form):
    """`mean` or, of several values, `mean ± deviation`."""
    values = np.asarray(values, "float64")
    mean = form.format(np.mean(values))
    if np.ptp(values) == 0:
        return mean
    return f"{mean} ± {form.format(np.std(values, ddof=1))}"


def _cell(figures, path, form):
    values = [look_up(each, path) for each in figures]
    values = [value for value in values if value is not None]
    return text(values, form) if values else ""


def _label(value):
    if value in CONTENDERS:
        return CONTENDERS[value].name
    if value in SETS:
        return SETS[value].title
    return "" if value is None else str(value)
