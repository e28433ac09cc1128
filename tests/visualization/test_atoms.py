import numpy as np
import pytest
import tensorflow as tf

from keras_csc.visualization import atom_grid
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


@pytest.mark.parametrize("strides", [(1, 1, 1), (2, 2, 2), (3, 1, 5)])
def test_pixel_atoms_agree_with_loops(strides):
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


def test_pixel_atoms_of_one_layer_are_its_kernel():
    kernel = random_kernel(5, 5, 3, 8)
    np.testing.assert_array_equal(pixel_atoms([kernel], [2]), kernel)


def test_pixel_atoms_of_identity_layers_are_those_beneath():
    kernel = random_kernel(5, 5, 3, 8)
    identity = np.eye(8, dtype="float32")[None, None]
    atoms = pixel_atoms([kernel, identity, identity], [2, 3, 1])
    np.testing.assert_allclose(atoms, kernel, rtol=1e-6)


def test_supports_grow():
    kernels = [
        tf.zeros((4, 4, 3, 2)),
        tf.zeros((4, 4, 2, 7)),
        tf.zeros((4, 4, 7, 9)),
    ]
    assert pixel_atoms(kernels, [2, 2, 2]).shape == (22, 22, 3, 9)


@pytest.mark.parametrize(
    "shapes, strides, message",
    [
        ([], [], "at least 1.*0 and 0"),
        ([(2, 2, 3, 4)], [1, 1], "same length.*1 and 2"),
        ([(2, 2, 3)], [1], r"shapes.*\(2, 2, 3\)"),
        ([(2, 2, 3, 4), (2, 2, 3, 4)], [1, 1], "as many channels"),
    ],
)
def test_bad_chains(shapes, strides, message):
    with pytest.raises(ValueError, match=message):
        pixel_atoms([np.zeros(shape) for shape in shapes], strides)


@pytest.mark.parametrize("channels", [1, 3])
def test_atoms_are_scaled_about_mid_grey(channels):
    kernel = random_kernel(3, 3, channels, 4)
    kernel[0, 0] = 0
    kernel[..., 2] *= 1e4
    grid = atom_grid(kernel, scale=1)
    assert grid.shape == (2 * 5 + 2, 2 * 5 + 2, 3)
    for j in range(4):
        top, left = 2 + 5 * (j // 2), 2 + 5 * (j % 2)
        tile = grid[top : top + 3, left : left + 3]
        atom = kernel[..., j] / np.max(np.abs(kernel[..., j]))
        expected = np.rint((atom + 1) * 127.5)
        assert np.max(np.abs(tile - expected)) <= 1
        assert np.all(tile[0, 0] == 128)
        assert tile.min() == 0 or tile.max() == 255


def test_zero_atom_is_grey():
    grid = atom_grid(np.zeros((2, 2, 1, 1)), scale=1)
    assert np.all(grid[2:4, 2:4] == 128)


def test_the_first_atoms_are_drawn():
    kernel = random_kernel(3, 3, 1, 200)
    np.testing.assert_array_equal(
        atom_grid(kernel), atom_grid(kernel[..., :64])
    )
    np.testing.assert_array_equal(
        atom_grid(kernel, maximum=5), atom_grid(kernel[..., :5])
    )


def test_default_scale_makes_atoms_visible():
    for size, side in ((3, 48), (7, 49), (61, 61)):
        grid = atom_grid(random_kernel(size, size, 1, 1))
        assert grid.shape == (side + 4, side + 4, 3)


def test_bad_atoms():
    with pytest.raises(ValueError, match=r"pixel_atoms.*\(3, 3, 16, 32\)"):
        atom_grid(np.zeros((3, 3, 16, 32)))
    with pytest.raises(ValueError, match="`maximum`.*0"):
        atom_grid(np.zeros((3, 3, 3, 8)), maximum=0)
