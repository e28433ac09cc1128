import numpy as np
import pytest

from keras_csc.visualization import atom_grid
from keras_csc.visualization import code_shades
from keras_csc.visualization import pixel_atoms


def random_kernel(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def brute_force_synthesis(code, kernel, stride):
    height, width = (
        (size - 1) * stride + support
        for size, support in zip(code.shape[:2], kernel.shape[:2])
    )
    image = np.zeros((height, width, kernel.shape[2]))
    for y, x, j in np.ndindex(code.shape):
        area = (
            slice(y * stride, y * stride + kernel.shape[0]),
            slice(x * stride, x * stride + kernel.shape[1]),
        )
        image[area] += code[y, x, j] * kernel[..., j]
    return image


def test_pixel_atoms_agree_with_loops():
    strides = 3, 1, 5
    kernels = [
        random_kernel(4, 3, 3, 5, seed=1),
        random_kernel(2, 3, 5, 4, seed=2),
        random_kernel(3, 2, 4, 6, seed=3),
    ]
    atoms = pixel_atoms(kernels, strides)
    for j in range(6):
        image = np.zeros((1, 1, 6))
        image[0, 0, j] = 1
        for kernel, stride in zip(kernels[::-1], strides[::-1]):
            image = brute_force_synthesis(image, kernel, stride)
        np.testing.assert_allclose(atoms[..., j], image, rtol=1e-4, atol=1e-5)


def test_atoms_are_scaled_about_mid_grey():
    kernel = random_kernel(3, 3, 3, 4)
    kernel[0, 0] = 0
    kernel[..., 2] *= 1e4
    kernel[..., 3] = 0
    grid = atom_grid(kernel, scale=1)
    assert grid.shape == (2 * 5 + 2, 2 * 5 + 2, 3)
    for j in range(4):
        top, left = 2 + 5 * (j // 2), 2 + 5 * (j % 2)
        tile = grid[top : top + 3, left : left + 3]
        atom = kernel[..., j] / (np.max(np.abs(kernel[..., j])) or 1)
        expected = np.rint((atom + 1) * 127.5)
        assert np.max(np.abs(tile - expected)) <= 1
        assert np.all(tile[0, 0] == 128)
        assert j == 3 or tile.min() == 0 or tile.max() == 255


def test_the_first_atoms_are_drawn_so_large_that_they_are_seen():
    kernel = random_kernel(7, 7, 1, 200)
    grid = atom_grid(kernel)
    np.testing.assert_array_equal(grid, atom_grid(kernel[..., :64]))
    assert grid.shape == (2 + 8 * (49 + 2), 2 + 8 * (49 + 2), 3)
    with pytest.raises(ValueError, match=r"pixel_atoms.*\(3, 3, 16, 2\)"):
        atom_grid(random_kernel(3, 3, 16, 2))


def test_codes_are_red_or_blue_by_their_size():
    codes = np.zeros((4, 5, 2), "float32")
    codes[0, 0, 0], codes[1, 2, 1] = -4.0, 1.0
    shades = code_shades(codes)
    assert shades.shape == (2, 4, 5, 4)
    assert np.argwhere(shades[..., 3]).tolist() == [[0, 0, 0], [1, 1, 2]]
    assert shades[0, 0, 0, 3] == 255 and shades[1, 1, 2, 3] == 128
    assert shades[0, 0, 0, 2] > shades[0, 0, 0, 0]
    assert shades[1, 1, 2, 0] > shades[1, 1, 2, 2]
