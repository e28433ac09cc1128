"""Figures of runs by name."""

import functools
import statistics

from studies import plan


class Table:
    """The rows of `results.json`.

    Args:
        rows: list of dicts.

    Attributes:
        asked: list of the rows that were asked for.
    """

    def __init__(self, rows):
        self.rows = rows
        self.asked = []

    @functools.cached_property
    def former(self):
        """Keys of the rows of flag files that have changed since."""
        return {row["key"] for row in plan.former(self.rows)}

    def of(self, data, name):
        """Rows of a run, one for each seed."""
        found = [
            row
            for row in self.rows
            if (row["data"], row["name"]) == (data, name)
        ]
        self.asked += found
        return found

    def values(self, data, name, figure, seeds=None):
        """A figure of a run's seeds; names joined by `/` look into dicts.

        Args:
            data, name: of the run.
            figure: its name.
            seeds: how many, from the first; by default all.

        Raises:
            KeyError: if the run is missing, or was not asked for the figure.
        """
        rows = self.of(data, name)[:seeds]
        if not rows:
            raise KeyError(f"{name} on {data}")
        found = [look_up(row, figure) for row in rows]
        for row, value in zip(rows, found):
            if value is None and not row.get("failed"):
                raise KeyError(f"{name} on {data}, {figure}")
        return found

    def mean(self, data, name, figure):
        """Mean over seeds; NaN if a run failed."""
        values = self.values(data, name, figure)
        if None in values:
            return float("nan")
        return statistics.fmean(values)

    def first(self, data, name, figure):
        """A figure of the first seed; NaN if the run failed."""
        found = self.values(data, name, figure, seeds=1)[0]
        return float("nan") if found is None else found

    def error(self, data, name, figure):
        """Standard error of the mean over seeds; NaN if a run failed.

        Raises:
            KeyError: for a single seed.
        """
        values = self.values(data, name, figure)
        if len(values) < 2:
            raise KeyError(f"a second seed of {name} on {data}")
        if None in values:
            return float("nan")
        return statistics.stdev(values) / len(values) ** 0.5


def look_up(row, path):
    """A figure by its name, or by names joined by `/`; `None` if missing."""
    for name in path.split("/"):
        row = row.get(name) if isinstance(row, dict) else None
    return row
