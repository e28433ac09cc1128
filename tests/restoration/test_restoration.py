"""Splitting against dense matrices in float64; four tasks."""

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
import skimage.data
import skimage.transform
import tensorflow as tf
from scipy.ndimage import correlate1d
from scipy.signal import convolve2d

from keras_csc import restoration
from keras_csc.restoration import restoring
from keras_csc.restoration import tasks
from keras_csc.restoration.linear import Measurement
from keras_csc.restoration.linear import conjugate_residuals
from keras_csc.restoration.noise import check_scale


@pytest.fixture(scope="module")
def photograph():
    """A part of a photograph, 40×44, in [0, 1]."""
    camera = skimage.data.camera()[160:240, 200:288] / 255
    return camera.reshape(40, 2, 44, 2).mean((1, 3))


def differences(size):
    return scipy.sparse.diags(
        [-np.ones(size), np.ones(size - 1)], [0, 1], (size - 1, size)
    )


def test_a_measurement_is_a_convolution_and_a_mask():
    rng = np.random.default_rng(0)
    images, others = rng.normal(size=(2, 2, 9, 11, 3))
    mask, blur = rng.integers(0, 2, (2, 9, 11, 1)), rng.uniform(size=(5, 3))
    expected = np.empty_like(images)
    for example, channel in np.ndindex(2, 3):
        expected[example, ..., channel] = convolve2d(
            images[example, ..., channel], blur, mode="same"
        )
    measurement = Measurement(mask.astype("float64"), blur)
    spec = tf.TensorSpec((None, None, None, 3), "float64")
    forward, adjoint = (
        tf.function(function, input_signature=[spec])
        for function in (measurement.forward, measurement.adjoint)
    )
    np.testing.assert_allclose(forward(images), mask * expected, atol=1e-12)
    np.testing.assert_allclose(
        np.sum(forward(images) * others),
        np.sum(images * adjoint(others)),
        rtol=1e-12,
    )
    assert Measurement().forward(images) is images
    assert Measurement().adjoint(images) is images


def test_every_example_of_equations_is_solved():
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(3, 6, 6))
    matrices = roots @ np.swapaxes(roots, 1, 2) + 0.1 * np.eye(6)
    right = rng.normal(size=(3, 6))
    # No example is done because another one is.
    right *= [[1], [1e-9], [0]]

    def operator(values):
        flat = tf.reshape(values, (3, 6, 1))
        return tf.reshape(matrices @ flat, (3, 1, 2, 3))

    result = conjugate_residuals(
        operator, tf.constant(right.reshape(3, 1, 2, 3)), 50
    )
    expected = np.linalg.solve(matrices, right[..., None])[..., 0]
    np.testing.assert_allclose(
        np.reshape(result, (3, 6)), expected, rtol=1e-9, atol=1e-30
    )
    assert not np.any(result[2])


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
    found = restoring.smooth_part(
        image[None, ..., None], smoothness, Measurement(mask[None, ..., None])
    )
    np.testing.assert_allclose(
        np.asarray(found)[0, ..., 0].ravel(), expected, atol=1e-9
    )


@pytest.mark.parametrize("size", [(3, 3), None])
def test_splitting_by_numpy(size):
    """The normal equations of the last level, beyond the borders, too."""
    rng = np.random.default_rng(0)
    image = rng.normal(size=(5, 6)).astype("float32")
    mask = (rng.uniform(size=(5, 6)) < 0.6).astype("float32")
    blur = np.ones((1, 1)) if size is None else rng.uniform(size=size)
    whole = tuple(n + b - 1 for n, b in zip(image.shape, blur.shape))
    means = rng.normal(size=(2, *whole, 1)).astype("float32")
    given = []

    def denoise(image, level):
        given.append((image, level))
        return means[len(given) - 1]

    found = restoring.restore(
        (image * mask)[..., None],
        mask[..., None],
        None if size is None else blur.astype("float32"),
        *(0.3, 0.2, [0.5, 0.4], denoise),
    )
    columns = [
        (mask * convolve2d(column.reshape(whole), blur, "valid")).ravel()
        for column in np.eye(np.prod(whole))
    ]
    matrix, seen = np.stack(columns, 1), (image * mask).ravel()

    def solved(mean, weight):
        return np.linalg.solve(
            matrix.T @ matrix + weight * np.eye(matrix.shape[1]),
            matrix.T @ seen + weight * mean.ravel(),
        ).reshape(whole)

    first, last = (
        solved(mean, restoring.WEIGHT * (0.3 / level) ** 2)
        for mean, level in zip(means, (0.5, 0.4))
    )
    (_, level), (between, _) = given
    assert level == 0.5 and between.shape == (*whole, 1)
    np.testing.assert_allclose(between[..., 0], first, atol=1e-4)
    top, left = (n // 2 for n in blur.shape)
    expected = last[top : top + 5, left : left + 6]
    np.testing.assert_allclose(found[..., 0], expected, atol=1e-4)


# === Tasks ===


def psnr(found, image):
    return -10 * np.log10(np.mean((np.asarray(found) - image) ** 2))


def noisy(image, noise):
    noise = noise * np.random.default_rng(0).standard_normal(image.shape)
    return image + noise


def test_denoising_in_colour():
    astronaut = skimage.data.astronaut()[60:124, 190:262] / 255
    colours = astronaut.reshape(32, 2, 36, 2, 3).mean((1, 3))
    given = noisy(colours, 0.1)
    done = []
    found = restoration.denoise(given, progress=lambda *each: done.append(each))
    assert found.shape == given.shape and found.dtype == np.float32
    assert psnr(found, colours) > psnr(given, colours) + 5
    assert done[-1] == (len(done), len(done))


def test_inpainting(photograph):
    mask = np.random.default_rng(0).uniform(size=photograph.shape) < 0.5
    pair = [
        restoration.inpaint(np.where(mask, photograph, value), mask)
        for value in (0.0, 17.0)  # What is behind it does not matter.
    ]
    np.testing.assert_array_equal(*pair)
    found = pair[0]
    np.testing.assert_array_equal(
        found[mask], photograph[mask].astype("float32")
    )
    mean = np.where(mask, photograph, photograph[mask].mean())
    assert psnr(found, photograph) > psnr(mean, photograph) + 8


def test_a_large_hole_is_filled():
    """Also where an atom sees no pixel at all: with what is around it."""
    image, mask = np.full((30, 30), 0.7), np.ones((30, 30))
    mask[8:22, 8:22] = 0
    found = restoration.inpaint(image * mask, mask)
    np.testing.assert_allclose(found, 0.7, atol=1e-3)


def test_deblurring(photograph):
    kernel = np.ones((3, 4))
    full = np.pad(kernel, [(0, 0), (0, 1)]) / 12
    given = convolve2d(photograph, full, mode="valid")
    inner = photograph[1:-1, 2:-2]
    given = noisy(given, 0.5 / 255)
    found = restoration.deblur(given, kernel)
    assert psnr(found, inner) > psnr(given, inner) + 3


@pytest.mark.parametrize("factor", [2, 3])
def test_enlarging(photograph, factor):
    image = photograph[:36, :42]
    kernel = tasks.anti_aliasing(factor)
    wave = kernel.sum(0)
    blurred = image
    for axis in (0, 1):
        blurred = correlate1d(blurred, wave, axis, mode="nearest")
    middle = factor // 2
    small = blurred[middle::factor, middle::factor]
    found = restoration.enlarge(small, factor)
    assert found.shape == image.shape
    shift = (factor - 1) / 2 - middle
    places = np.mgrid[:36, :42].astype("float64") + shift
    places = (places - (factor - 1) / 2) / factor
    spline = skimage.transform.warp(small, places, order=3, mode="edge")
    assert psnr(found, image) > psnr(spline, image) + 0.2


@pytest.mark.parametrize("level, noise", [(0.0, 0.2), (1.0, 1.0)])
def test_noise_that_is_not_cut_off_is_taken(level, noise):
    """Half of it lies beyond black, or white; also with half more than told."""
    image = np.full((40, 40), level)
    for told in (noise, noise / 1.5):
        check_scale(noisy(image, noise), told)


IMAGE = np.full((12, 12), 0.5)
RISING = np.linspace(-1, 1, 144).reshape(12, 12)


@pytest.mark.parametrize(
    "function, arguments, message",
    [
        ("denoise", (IMAGE, 0), "`noise`"),
        ("denoise", (np.full((4, 4), np.nan), 0.1), "`image` must be finite"),
        ("denoise", (IMAGE.astype("uint8"), 0.1), "divide integers"),
        ("denoise", (255 * IMAGE, 25.0), "of 0..255, and their noise, by 255"),
        ("deblur", (-255 * IMAGE, np.ones((3, 3))), "from -127.5 to -127.5"),
        ("denoise", (IMAGE, 25.0), "`noise`, at most 1"),
        ("inpaint", (IMAGE, np.eye(12), 5.0), "`noise`, at most 1"),
        ("denoise", (RISING, 0.1), r"\(image \+ 1\) / 2.*from -1 to 1"),
        ("denoise", (np.zeros((4, 4, 2)), 0.1), r"\(height, width, 3\)"),
        ("inpaint", (IMAGE, np.ones((3, 3))), "height and width of the image"),
        ("inpaint", (IMAGE, np.full((12, 12), 0.5)), "1 where pixels are"),
        ("inpaint", (IMAGE, np.zeros((12, 12))), "no pixel is known"),
        ("deblur", (IMAGE, np.zeros((3, 3))), "`kernel` must be"),
        ("enlarge", (IMAGE, 1), "`factor`"),
    ],
)
def test_mistakes_are_named(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(restoration, function)(*arguments)
