"""Small charts as inline SVG, in the colours of the page."""

import math

import numpy as np

from keras_csc.html import element

WIDTH, HEIGHT = 320, 170
LEFT, RIGHT, TOP, BOTTOM = 48, 8, 10, 24
MOST_POINTS = 240
KEY_WIDTH = 28
# From where on a scale is logarithmic.
DECADES = 2


def line_chart(series, alt):
    """Lines over steps, on one scale, with a legend of two and more.

    The scale is logarithmic where all values are positive and span two
    decades. Values that are not finite are gaps.

    Args:
        series: dict from the name of a line to two sequences, `(x, y)`.
        alt: str, what is to be seen.
    """
    lines = {name: _thinned(*pair) for name, pair in series.items()}
    values = np.concatenate([y for _, y in lines.values()])
    values = values[np.isfinite(values)]
    if not len(values):
        return element("p", "No finite number.", class_="muted")
    log = values.min() > 0 and values.max() > 10**DECADES * values.min()
    to_y, marks = _scale(values, log)
    last = max(x[-1] for x, _ in lines.values())
    parts = [_grid_line(to_y(value), _short(value)) for value in marks]
    for number, (x, y) in enumerate(lines.values()):
        path = _path(LEFT + _inner_width() * x / (last or 1), to_y(y))
        parts.append(element("path", d=path, class_=f"line line-{number % 6}"))
    for x, text, anchor in (
        (LEFT, "0", "start"),
        (WIDTH - RIGHT, f"step {int(last):,}", "end"),
    ):
        parts.append(
            element("text", text, x=x, y=HEIGHT - 6, text_anchor=anchor)
        )
    chart = _svg(parts, alt)
    return [chart, _legend(lines)] if len(lines) > 1 else [chart]


def bar_chart(values, alt, marked=None):
    """Bars from 0 on, side by side.

    Args:
        values: sequence of numbers of at least 0.
        alt: str, what is to be seen.
        marked: int, a bar that stands out, or `None`.
    """
    values = np.asarray(values, "float64")
    width, height = 640, 64
    step = width / len(values)
    tall = height * values / (values.max() or 1)
    bars = []
    for number, bar in enumerate(tall):
        bar = max(bar, 1) if values[number] else 0
        bars.append(
            element(
                "rect",
                x=_number(number * step),
                y=_number(height - bar),
                width=_number(max(step - (1 if step > 3 else 0.2), 0.4)),
                height=_number(bar),
                class_="bar marked" if number == marked else "bar",
            )
        )
    return element(
        "svg",
        bars,
        viewBox=f"0 0 {width} {height}",
        preserveAspectRatio="none",
        class_="bars",
        role="img",
        aria_label=alt,
    )


def meter(share):
    """A line of which a share is filled; a text beside it says the number."""
    return element(
        "span",
        element("span", style=f"width:{100 * min(share, 1):.1f}%"),
        class_="meter",
        aria_hidden="true",
    )


def _thinned(x, y):
    x, y = np.asarray(x, "float64"), np.asarray(y, "float64")
    step = -(-len(x) // MOST_POINTS)
    kept = np.unique(np.append(np.arange(0, len(x), step), len(x) - 1))
    return x[kept], y[kept]


def _inner_width():
    return WIDTH - LEFT - RIGHT


def _scale(values, log):
    """A function from values to heights, and values to mark."""
    low, high = float(values.min()), float(values.max())
    if log:
        powers = np.arange(
            math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1
        )
        marks = 10.0 ** powers[:: -(-len(powers) // 6)]
        low, high = 10.0 ** powers[0], 10.0 ** powers[-1]
    else:
        if high - low <= 1e-12 * max(abs(high), 1):
            low, high = low - 0.5, high + 0.5
        step = _round_step((high - low) / 3)
        marks = step * np.arange(
            math.floor(low / step), math.ceil(high / step) + 1
        )
        low, high = marks[0], marks[-1]
    turn = np.log10 if log else np.asarray

    def to_y(value):
        with np.errstate(invalid="ignore", divide="ignore"):
            share = (turn(value) - turn(low)) / (turn(high) - turn(low))
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    return to_y, marks


def _round_step(step):
    """1, 2 or 5 times a power of ten, at least `step`."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(n * power for n in (1, 2, 5, 10) if n * power >= step)


def _grid_line(y, text):
    return element(
        "g",
        element(
            "line", x1=LEFT, x2=WIDTH - RIGHT, y1=_number(y), y2=_number(y)
        ),
        element(
            "text", text, x=LEFT - 6, y=_number(y + 3.5), text_anchor="end"
        ),
    )


def _path(x, y):
    words, drawing = [], False
    for here, there in zip(x, y):
        if not math.isfinite(there):
            drawing = False
            continue
        words.append(
            f"{'L' if drawing else 'M'}{_number(here)} {_number(there)}"
        )
        drawing = True
    return "".join(words)


def _svg(parts, alt):
    return element(
        "svg",
        parts,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        class_="chart",
        role="img",
        aria_label=alt,
    )


def _legend(lines):
    items = [
        element("li", _key(number), name) for number, name in enumerate(lines)
    ]
    return element("ul", items, class_="legend")


def _key(number):
    """A piece of a line, of its colour and its dashes."""
    return element(
        "svg",
        element(
            "line",
            x2=KEY_WIDTH,
            y1=2,
            y2=2,
            class_=f"line line-{number % 6}",
        ),
        width=KEY_WIDTH,
        height=4,
        class_="key",
        aria_hidden="true",
    )


def _short(value):
    """A number of an axis, of few characters."""
    size = abs(value)
    if size and (size < 1e-3 or size >= 1e5):
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:.4g}"


def _number(value):
    return f"{value:.1f}".rstrip("0").rstrip(".")
