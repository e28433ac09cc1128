import inspect

import numpy as np
import pytest

from keras_csc import validation
from keras_csc.layers import ConvSparseCoding2D
from keras_csc.losses import RecipeGame

NO_NUMBERS = [float("inf"), np.float32("nan"), "1", None, [1.0], True, 1j]


@pytest.mark.parametrize(
    "check, limits",
    [
        (validation.check_at_least, 0),
        (validation.check_number, "(-inf, inf)"),
        (validation.check_integer, 0),
        (validation.check_integers, 0),
    ],
)
def test_what_is_no_finite_number_is_refused(check, limits):
    for value in NO_NUMBERS:
        with pytest.raises(ValueError, match="`rate` must be .* Received: "):
            check(limits, rate=value)


@pytest.mark.parametrize(
    "interval, inside, outside",
    [
        ("[0, 1)", [0, 0.5, np.float32(0.9)], [-1e-9, 1, 2]),
        ("(0, 1]", [1e-9, 1], [0, 1.1]),
        ("(0, inf)", [1e-30, 10**400], [0, -(10**400)]),
    ],
)
def test_intervals(interval, inside, outside):
    for value in inside:
        validation.check_number(interval, rate=value)
    for value in outside:
        with pytest.raises(ValueError, match="`rate` must be a number in "):
            validation.check_number(interval, rate=value)


def test_integers_have_bounds_that_say_why():
    validation.check_integer(1, 3, "as there are 3", count=np.int64(3))
    with pytest.raises(ValueError, match="at most 3, as there are 3. .* 4"):
        validation.check_integer(1, 3, "as there are 3", count=4)
    for value in (0, 1.0, 2.5, 10**30):
        with pytest.raises(ValueError, match="`count`"):
            validation.check_integer(1, count=value)


def test_lists_of_integers():
    validation.check_integers(1, sizes=[3, 4])
    validation.check_integers(1, length=2, sizes=(3, 4))
    for value in ([], [0], "34", [3, "4"], [3, None], 5, [2.0], [10**30]):
        with pytest.raises(ValueError, match="`sizes` must be one or more"):
            validation.check_integers(1, sizes=value)
    with pytest.raises(ValueError, match="`sizes` must be 3 integers"):
        validation.check_integers(1, length=3, sizes=(3, 4))


def test_truth_is_not_guessed():
    validation.check_bool(tight=False, inner=np.True_)
    for value in (0, 1, "no", None):
        with pytest.raises(ValueError, match="`tight` must be True or False"):
            validation.check_bool(tight=value)


def test_long_values_are_cut():
    with pytest.raises(ValueError) as error:
        validation.check_choice(("a", "b"), name="x" * 10_000)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    "maker, needed",
    [
        (ConvSparseCoding2D, {"filters": 4, "kernel_size": 4, "strides": 2}),
        (RecipeGame, {}),
    ],
)
def test_no_argument_is_nan_or_infinite(maker, needed):
    parameters = inspect.signature(maker).parameters
    found = [
        n for n, p in parameters.items() if type(p.default) in (int, float)
    ]
    assert len(found) > 2
    for name in (*found, *needed):
        for value in (np.nan, np.inf):
            with pytest.raises(ValueError, match=name):
                maker(**{**needed, name: value})
