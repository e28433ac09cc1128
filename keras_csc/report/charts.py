"""Lines of a chart, in its own pixels."""

import numpy as np

from keras_csc.callbacks.logs import tag

GROUPS = ("quality", "rates", "game", "codes", "time")  # of curves
# The ends of a chart's axes, 320 by 170 pixels in all.
LEFT, RIGHT, TOP, BOTTOM = 56, 312, 10, 146
MOST_POINTS = 240
DECADES = 2  # from which on a scale is logarithmic


def curves(log):
    """Charts of what a run logged, over its steps; `None` if nothing.

    A scalar of several layers has one chart.

    Returns:
        Dict of the `last` step and of `charts`, pairs of a title and what
        `line_chart` returns.
    """
    groups = {name: {} for name in GROUPS}
    names = dict.fromkeys(name for record in log for name in record)
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
    """Lines `(steps, values)` by name on one scale; `None` without a number.

    The scale is logarithmic where all values are positive and span two
    decades. Values that are not finite are gaps.

    Returns:
        Dict of paths by name, of marks `(y, text)` and two texts.
    """
    ends = "; ".join(
        f"{name} from {values[0]:.4g} to {values[-1]:.4g}"
        for name, (_, values) in lines.items()
    )
    values = np.concatenate([values for _, values in lines.values()])
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = values.min(), values.max()
    log = low > 0 and high > 10**DECADES * low
    scale = np.log10 if log else np.asarray
    bottom, top = scale(low), scale(high)
    last = max(steps[-1] for steps, _ in lines.values())
    end = f"step {int(last):,}"
    paths = {}
    for name, (steps, values) in lines.items():
        stride = -(-len(steps) // MOST_POINTS)
        kept = np.arange(len(steps) - 1, -1, -stride)[::-1]
        with np.errstate(invalid="ignore"):
            share = (scale(values[kept]) - bottom) / (top - bottom or 1)
        x = LEFT + (RIGHT - LEFT) * steps[kept] / (last or 1)
        paths[name] = _path(x, BOTTOM - (BOTTOM - TOP) * share)
    return {
        "alt": f"{title} from 0 to {end}: {ends}",
        "lines": paths,
        "marks": [(BOTTOM, f"{low:.3g}"), (TOP, f"{high:.3g}")],
        "end": end,
    }


def _path(x, y):
    words, drawing = [], False
    for here, there in zip(x, y):
        if np.isfinite(there):
            words.append(f"{'L' if drawing else 'M'}{here:.1f} {there:.1f}")
        drawing = np.isfinite(there)
    return "".join(words)
