"""Checks of arguments, and errors in words.

Numbers are finite, whatever they are given to.
`nan < minimum` is False, so that a comparison alone lets NaN pass.
"""

import math
import numbers
import re
import reprlib

import numpy as np

LARGEST_INTEGER = 2**31 - 1


def check_number(interval, **arguments):
    """Raises `ValueError` for no number of an interval, as `"[0, 1)"`."""
    for name, value in arguments.items():
        if not (_is_number(value) and _within(interval, value)):
            raise ValueError(
                f"`{name}` must be a number in {interval}. "
                f"Received: {shown(value)}"
            )


def check_integer(minimum, maximum=LARGEST_INTEGER, why="", **arguments):
    """Raises `ValueError` for no integer of a range; `why` has that maximum."""
    reason = f", {why}" if why else ""
    for name, value in arguments.items():
        if not _is_integer(value) or value < minimum:
            raise ValueError(
                f"`{name}` must be an integer of at least {minimum}. "
                f"Received: {shown(value)}"
            )
        if value > maximum:
            raise ValueError(
                f"`{name}` must be at most {maximum}{reason}. "
                f"Received: {shown(value)}"
            )


def check_integers(minimum, maximum=LARGEST_INTEGER, length=None, **arguments):
    """Raises `ValueError` for no sequence of so many integers."""
    limits = f"at least {minimum}"
    if maximum != LARGEST_INTEGER:
        limits = f"{minimum} to {maximum}"
    for name, value in arguments.items():
        fits = isinstance(value, (list, tuple)) and all(
            _is_integer(entry) and minimum <= entry <= maximum
            for entry in value
        )
        if not fits or len(value) != (length or max(len(value), 1)):
            raise ValueError(
                f"`{name}` must be {length or 'one or more'} integers of "
                f"{limits}. Received: {shown(value)}"
            )


def check_bool(**arguments):
    """Raises `ValueError` for an argument that is neither true nor false."""
    for name, value in arguments.items():
        if type(value).__name__ not in ("bool", "bool_"):
            raise ValueError(
                f"`{name}` must be True or False. Received: {shown(value)}"
            )


def check_choice(choices, **arguments):
    """Raises `ValueError` for an argument not among `choices`."""
    for name, value in arguments.items():
        if not isinstance(value, str) or value not in choices:
            expected = ", ".join(repr(choice) for choice in choices)
            raise ValueError(
                f"`{name}` must be one of {expected}. Received: {shown(value)}"
            )


def check_finite(name, values):
    """Raises `ValueError` if an entry of `values` is not finite."""
    finite = np.isfinite(values)
    if not np.all(finite):
        raise ValueError(
            f"`{name}` must be finite. Received: "
            f"{np.sum(~finite)} non-finite entries"
        )


def shown(value):
    """A value as text of one line that a message can hold."""
    text = reprlib.repr(value) if not isinstance(value, str) else repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _is_number(value):
    """Whether it is a finite real number, and no bool."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # An integer beyond all floats.
        return True


def _is_integer(value):
    return isinstance(value, numbers.Integral) and _is_number(value)


def _within(interval, value):
    low, high = map(float, interval[1:-1].split(","))
    above = value > low or (interval[0] == "[" and value == low)
    return above and (value < high or (interval[-1] == "]" and value == high))


def plain(error):
    """The reason of an error of TensorFlow's, in one line without its graph."""
    text = str(getattr(error, "message", error))
    asserted = re.search(r"assertion failed: \[(.*)\]", text)
    if asserted:
        return asserted[1].replace("] [", " ").rstrip(".")
    text = re.sub(r"(?m)^(Graph exec|Detected at|<stack|\s).*\n*", "", text)
    line = (text.splitlines() or [""])[0]
    line = re.sub(r"\{\{[^}]*\}\}|\[Op:[^]]*\]", "", line)
    line = re.sub(r"^ValueError: |^Error in user-def.*::\S+ ", "", line)
    return line.strip().rstrip(".") or type(error).__name__


def check_float32(dtype):
    """Raises `ValueError` for a type that other runtimes do not compute in."""
    if dtype != "float32":
        raise ValueError(
            "A model for other runtimes must compute in float32. Received: "
            f"{dtype}. Load it with `dtype='float32'`."
        )


def not_quantized(model, mode=None, config=None, **kwargs):
    """Is refused: Keras has no quantized form of the layers."""
    raise NotImplementedError(
        "Keras has no quantized form of these layers. A ClosedLoopAutoencoder "
        "has `model.export('model.tflite', 'litert', optimizations="
        "[tf.lite.Optimize.DEFAULT])`, which writes weights of 8 bits."
    )
