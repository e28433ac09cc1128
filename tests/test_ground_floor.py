"""What all rooms stand on: checks of values, pixels, and files."""

import inspect
import re

from keras_csc_cli.workdir import PARTIAL

import numpy as np
import pytest

from keras_csc import validation
from keras_csc.data.images import normalize
from keras_csc.evaluation import passes
from keras_csc.files import new_folder
from keras_csc.files import replacing
from keras_csc.layers import ConvSparseCoding2D
from keras_csc.losses import RecipeGame
from keras_csc.pixels import from_pixels
from keras_csc.pixels import to_pixels

# === Values ===

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


# === Pixels ===

ALL = np.arange(256, dtype="uint8")


def test_every_pixel_comes_back():
    images = from_pixels(ALL)
    assert images.dtype == "float32"
    assert (images[0], images[-1]) == (-1, 1)
    np.testing.assert_array_equal(to_pixels(images), ALL)


def test_pixels_are_those_of_the_pipeline():
    np.testing.assert_allclose(from_pixels(ALL), normalize(ALL), atol=1e-7)


def test_what_lies_beyond_is_cut_off():
    np.testing.assert_array_equal(to_pixels([-3.0, 3.0]), [0, 255])


def test_pixels_are_uint8():
    pixels = np.array([[0, 51, 255]], "uint8")
    floats = passes.as_floats(pixels)
    np.testing.assert_allclose(floats, [[-1, -0.6, 1]], atol=1e-6)
    np.testing.assert_array_equal(passes.as_floats(floats), floats)
    with pytest.raises(ValueError, match="must be uint8.*of int64"):
        passes.as_floats(pixels.astype("int64"))
    with pytest.raises(ValueError, match="must be uint8.*of float32"):
        from_pixels(floats)


# === Files ===


def test_the_last_of_two_writers_leaves_its_file_whole(tmp_path):
    path = tmp_path / "page.html"
    with replacing(path) as ours, open(ours, "w") as file:
        file.write("a")
        with replacing(path) as theirs:
            theirs.write_text("bb")
        assert path.read_text() == "bb"
        file.write("a")
    assert path.read_text() == "aa"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", [f"{125 * 'ä'}.png", f"{255 * '_'}"])
def test_a_name_may_be_as_long_as_that_of_any_file(tmp_path, name):
    path = tmp_path / name
    with replacing(path) as temporary:
        assert temporary.name.endswith(path.suffix)
        temporary.write_text("a")
    assert path.read_text() == "a"
    path.unlink()
    with new_folder(path) as temporary:
        assert temporary.is_dir()
    assert list(tmp_path.iterdir()) == [path]


def test_short_names_are_whole_in_temporary_ones(tmp_path):
    with replacing(tmp_path / "atoms_1.png") as temporary:
        temporary.touch()
        assert re.fullmatch(rf"\.atoms_1{PARTIAL}\.png", temporary.name)
    with new_folder(tmp_path / ".model-new") as temporary:
        assert re.fullmatch(r"\.\.model-new-\w{8}", temporary.name)
