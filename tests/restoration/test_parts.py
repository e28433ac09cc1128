import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

from keras_csc.ops import Measurement
from keras_csc.restoration.adaptation import AdaptedAtoms
from keras_csc.restoration.quadratic import ridge_regression
from keras_csc.restoration.quadratic import smooth_part
from keras_csc.restoration.restoring import dictionary_kernel
from keras_csc.restoration.shifts import ShiftedGrids


def differences(size):
    return scipy.sparse.diags(
        [-np.ones(size), np.ones(size - 1)], [0, 1], (size - 1, size)
    )


def test_the_smooth_part_solves_its_equations():
    rng = np.random.default_rng(0)
    height, width, smoothness = 7, 9, 0.7
    mask = rng.integers(0, 2, size=(height, width)).astype("float64")
    image = rng.normal(size=(height, width)) * mask
    rows = scipy.sparse.kron(differences(height), scipy.sparse.eye(width))
    columns = scipy.sparse.kron(scipy.sparse.eye(height), differences(width))
    system = scipy.sparse.diags(mask.ravel()) + smoothness * (
        rows.T @ rows + columns.T @ columns
    )
    expected = scipy.sparse.linalg.spsolve(system.tocsc(), image.ravel())
    found = smooth_part(
        image[None, ..., None], smoothness, Measurement(mask[None, ..., None])
    )
    np.testing.assert_allclose(
        np.asarray(found)[0, ..., 0].ravel(), expected, atol=1e-9
    )


@pytest.mark.parametrize(
    "size, strides, step, reach", [(4, 4, 2, (1, 2)), (5, 3, 1, (0, 0))]
)
def test_windows_add_up_to_the_image(size, strides, step, reach):
    grids = ShiftedGrids((6, 11), size, strides, reach)
    image = np.random.default_rng(0).normal(size=(6, 11, 2))
    padded = grids.pad(image)
    assert padded.shape[:2] == tuple(grids.padded_size)
    shifts = grids.shifts(step)
    assert len(shifts) == len(set(shifts)) == (-(-strides // step)) ** 2
    total, count = np.zeros_like(padded), np.zeros_like(padded)
    grids.add(total, count, grids.windows(padded, shifts), 2.0, shifts)
    np.testing.assert_array_equal(grids.crop(count), 2 * len(shifts))
    np.testing.assert_allclose(grids.crop(total / (2 * len(shifts))), image)


@pytest.mark.parametrize(
    "size, strides, reach", [(4, 4, (0, 0)), (5, 3, (2, 1)), (4, 1, (0, 0))]
)
def test_every_pixel_lies_under_as_many_atoms(size, strides, reach):
    """As in the middle of a large image, also beyond the border by `reach`."""
    grids = ShiftedGrids((6, 7), size, strides, reach)
    covered = [
        np.array(
            [
                sum(0 <= place - strides * n < size for n in range(count))
                for place in range(whole)
            ]
        )
        for whole, count in zip(grids.window_size, grids.code_size)
    ]
    for shift in range(strides):
        for axis, counts in enumerate(covered):
            first = grids.margins[axis] - reach[axis] - shift
            last = first + grids.image_size[axis] + 2 * reach[axis]
            places = np.arange(first, last)
            assert first >= 0 and last <= len(counts)
            expected = [
                sum((place - n) % strides == 0 for n in range(size))
                for place in places
            ]
            np.testing.assert_array_equal(counts[places], expected)


def test_constant_atoms_come_first(grey):
    kernel = dictionary_kernel(grey)
    assert kernel.shape == (4, 4, 1, 16)
    np.testing.assert_allclose(kernel[..., 0], 0.25)
    gram = np.tensordot(kernel, kernel, ([0, 1, 2], [0, 1, 2]))
    np.testing.assert_allclose(gram, np.eye(16), atol=1e-6)


def test_ridge_regression_by_numpy():
    """The normal equations, of a blur that is built column by column."""
    rng = np.random.default_rng(0)
    image, mask = rng.normal(size=(1, 5, 6, 1)), rng.uniform(size=(5, 6)) < 0.6
    measurement = Measurement(
        mask[None, ..., None].astype("float64"), rng.uniform(size=(3, 3))
    )
    columns = np.eye(30).reshape(30, 1, 5, 6, 1)
    matrix = np.stack(
        [np.asarray(measurement.forward(c)).ravel() for c in columns], 1
    )
    expected = np.linalg.solve(
        matrix.T @ matrix + 0.3 * np.eye(30), matrix.T @ image.ravel()
    )
    found = ridge_regression(image, 0.3, measurement)
    np.testing.assert_allclose(np.asarray(found).ravel(), expected, atol=1e-9)


@pytest.fixture
def seen():
    """Atoms of 3×3 that have seen three windows, and what they saw."""
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(3, 3, 1, 5))
    kernel[..., 0] = 1
    kernel /= np.linalg.norm(kernel, axis=(0, 1), keepdims=True)
    atoms = AdaptedAtoms(kernel.astype("float32"), 3)
    windows, codes = (
        rng.normal(size=(3, 6, 9, 1)),
        rng.normal(size=(3, 2, 3, 5)),
    )
    inside = np.ones_like(windows)
    inside[:, :, :2] = 0  # in the first of three columns of places
    atoms.see(windows, codes, inside)
    patches = [
        windows[n, 3 * i : 3 * i + 3, 3 * j : 3 * j + 3].ravel()
        for n in range(3)
        for i in range(2)
        for j in (1, 2)
    ]
    return atoms, kernel, np.array(patches).T, codes[:, :, 1:].reshape(-1, 5).T


def test_atoms_adapt_to_less_error(seen):
    """No atom can be turned so that the objective falls further."""
    atoms, kernel, patches, codes = seen
    weight = 0.7
    given = kernel.reshape(9, 5)

    def objective(columns):
        misfit = np.sum((patches - columns @ codes) ** 2)
        return misfit + weight * np.sum((columns - given) ** 2)

    before = objective(given)
    atoms.adapt(weight)
    first = np.asarray(atoms.kernel, "float64").reshape(9, 5)
    assert objective(first) < before
    for _ in range(40):
        atoms.see(*_windows_of(patches, codes))
        atoms.adapt(weight)
    found = np.asarray(atoms.kernel, "float64").reshape(9, 5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=0), 1, rtol=1e-6)
    np.testing.assert_array_equal(found[:, 0], np.float32(given[:, 0]))
    assert objective(found) <= objective(first)
    rng = np.random.default_rng(1)
    for index in range(1, 5):
        for _ in range(20):
            turned = found.copy()
            turned[:, index] += 1e-3 * rng.normal(size=9)
            turned[:, index] /= np.linalg.norm(turned[:, index])
            assert objective(turned) > objective(found) - 1e-8


def _windows_of(patches, codes):
    """Patches as windows of one place each, their codes, and all inside."""
    windows = patches.T.reshape(-1, 3, 3, 1)
    return windows, codes.T[:, None, None], np.ones_like(windows)
