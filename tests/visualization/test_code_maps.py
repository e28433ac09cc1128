import numpy as np
import pytest

from keras_csc.visualization import code_maps


def test_most_active_filters_come_first():
    codes = np.zeros((4, 5, 6), "float32")
    codes[0, 0, 4] = -2.0
    codes[1, 2, 1] = 1.0
    codes[3, 3, 5] = 0.5
    grid = code_maps(codes, columns=3, maximum=3, scale=1)
    assert grid.shape == (4 + 4, 3 * 7 + 2, 3)
    tiles = [grid[2:6, 2 + 7 * i : 7 + 7 * i] for i in range(3)]
    for tile, place in zip(tiles, [(0, 0), (1, 2), (3, 3)]):
        colored = np.any(tile != 255, axis=-1)
        assert np.argwhere(colored).tolist() == [list(place)]
    red, _, blue = tiles[0][0, 0].astype(int)
    assert blue > red
    red, _, blue = tiles[1][1, 2].astype(int)
    assert red > blue


def test_zero_is_white_whatever_the_extremes():
    codes = np.zeros((3, 3, 1), "float32")
    assert np.all(code_maps(codes, scale=1)[2:5, 2:5] == 255)
    codes[0, 0, 0] = 1e-3
    tile = code_maps(codes, scale=1)[2:5, 2:5]
    assert np.sum(np.any(tile != 255, axis=-1)) == 1


def test_colors_depend_on_relative_size_only():
    codes = np.random.default_rng(0).normal(size=(6, 6, 20))
    np.testing.assert_array_equal(code_maps(codes), code_maps(8 * codes))
    np.testing.assert_array_equal(
        code_maps(codes, maximum=16), code_maps(codes)
    )


def test_default_scale_makes_maps_visible():
    for size, side in ((8, 64), (20, 80), (100, 100)):
        grid = code_maps(np.ones((size, size, 1)))
        assert grid.shape == (side + 4, side + 4, 3)


def test_bad_codes():
    with pytest.raises(ValueError, match=r"one image.*\(2, 4, 4, 8\)"):
        code_maps(np.zeros((2, 4, 4, 8)))
    with pytest.raises(ValueError, match="finite"):
        code_maps(np.full((4, 4, 8), np.inf))
    with pytest.raises(ValueError, match="`maximum`.*0"):
        code_maps(np.zeros((4, 4, 8)), maximum=0)
