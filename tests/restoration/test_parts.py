import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

from keras_csc.ops import Measurement
from keras_csc.restoration.restoring import dictionary_kernel
from keras_csc.restoration.shifts import ShiftedGrids
from keras_csc.restoration.smooth import smooth_part


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
    "size, strides, step", [(4, 4, 2), (5, 3, 1), (4, 2, 2)]
)
@pytest.mark.parametrize("reach", [(0, 0), (1, 2)])
def test_windows_add_up_to_the_image(size, strides, step, reach):
    grids = ShiftedGrids((6, 11), size, strides, step, reach)
    image = np.random.default_rng(0).normal(size=(6, 11, 2))
    padded = grids.pad(image)
    assert padded.shape[:2] == tuple(grids.padded_size)
    shifts = grids.shifts
    assert len(shifts) == len(set(shifts)) == (-(-strides // step)) ** 2
    total, count = np.zeros_like(padded), np.zeros_like(padded)
    grids.add(total, count, grids.windows(padded, shifts), 2.0, shifts)
    np.testing.assert_array_equal(grids.crop(count), 2 * len(shifts))
    np.testing.assert_allclose(grids.crop(total / (2 * len(shifts))), image)


@pytest.mark.parametrize("size, strides", [(4, 4), (5, 3), (4, 2), (4, 1)])
@pytest.mark.parametrize("reach", [(0, 0), (2, 1)])
def test_every_pixel_lies_under_as_many_atoms(size, strides, reach):
    """As in the middle of a large image, also beyond the border by `reach`."""
    grids = ShiftedGrids((6, 7), size, strides, 1, reach)
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
