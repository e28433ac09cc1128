"""Curves of training: paths of a chart, in its own pixels."""

import math

import numpy as np
from matplotlib.ticker import MaxNLocator

from keras_csc.callbacks.logs import tag

# Of a chart: the ends of its axes, 320 by 170 pixels in all.
LEFT, RIGHT, TOP, BOTTOM = 48, 312, 10, 146
MOST_POINTS = 240
DECADES = 2  # from which on a scale is logarithmic

GROUPS = ("quality", "rates", "game", "codes", "time")


def curves(log):
    """Charts of what a run logged, over its steps; `None` if nothing.

    Of one scalar for several layers there is one chart.
    """
    groups = {name: {} for name in GROUPS}
    names = {name: None for record in log for name in record}
    for name in [n for n in names if n not in ("step", "time")]:
        points = [(r["step"], r[name]) for r in log if name in r]
        kind, _, layer = name.partition("/")
        grouped, title = tag(name)
        lines = groups[grouped.partition("/")[0]].setdefault(title, {})
        line = (layer or kind).replace("_", " ")
        lines[line] = np.array(points, "float64").T
    charts = [
        (title, line_chart(title, lines))
        for group in groups.values()
        for title, lines in group.items()
    ]
    return {"last": log[-1]["step"], "charts": charts} if charts else None


def line_chart(title, lines):
    """Lines on one scale; `None` if no value is finite.

    The scale is logarithmic where all values are positive and span two
    decades. Values that are not finite are gaps.

    Args:
        title: str.
        lines: dict from names to float arrays `(2, n)`, of steps and values.

    Returns:
        Dict of paths by name, of marks `(y, text)`, the last step and a text.
    """
    ends = "; ".join(
        f"{name} from {values[0]:.4g} to {values[-1]:.4g}"
        for name, (_, values) in lines.items()
    )
    lines = {name: _thinned(points) for name, points in lines.items()}
    values = np.concatenate([values for _, values in lines.values()])
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    log = values.min() > 0 and values.max() > 10**DECADES * values.min()
    turn = np.log10 if log else np.asarray
    marks = _marks(*turn([values.min(), values.max()]), log)
    last = max(steps[-1] for steps, _ in lines.values())

    def height(turned):
        share = (turned - marks[0]) / (marks[-1] - marks[0])
        return BOTTOM - share * (BOTTOM - TOP)

    with np.errstate(invalid="ignore", divide="ignore"):
        paths = {
            name: _path(
                LEFT + (RIGHT - LEFT) * steps / (last or 1),
                height(turn(values)),
            )
            for name, (steps, values) in lines.items()
        }
    return {
        "alt": f"{title} over the steps: {ends}",
        "lines": paths,
        "marks": [
            (round(float(height(mark)), 1), _short(10.0**mark if log else mark))
            for mark in marks
        ],
        "last": int(last),
    }


def _thinned(points):
    number = points.shape[1]
    kept = np.arange(0, number, -(-number // MOST_POINTS))
    return points[:, np.unique([*kept, number - 1])]


def _marks(low, high, log):
    """Round numbers from below the least to above the largest, or powers."""
    if log:
        low, high = math.floor(low), math.ceil(high)
        step = -(-(high - low) // 6)
        return low + step * np.arange(-(-(high - low) // step) + 1)
    if high - low <= 1e-12 * max(abs(high), 1):
        low, high = low - 0.5, high + 0.5
    return MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(low, high)


def _path(x, y):
    words, drawing = [], False
    for here, there in zip(x, y):
        if math.isfinite(there):
            words.append(f"{'L' if drawing else 'M'}{here:.1f} {there:.1f}")
        drawing = math.isfinite(there)
    return "".join(words)


def _short(value):
    """A number of an axis, of few characters."""
    if value and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:.4g}"
