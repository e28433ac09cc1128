import numpy as np
import pytest
import skimage.data
import skimage.transform
from scipy.ndimage import correlate1d
from scipy.signal import convolve2d

from keras_csc import restoration
from keras_csc.restoration import tasks


def psnr(found, image):
    return -10 * np.log10(np.mean((np.asarray(found) - image) ** 2))


def noisy(image, noise, seed=0):
    noise = noise * np.random.default_rng(seed).standard_normal(image.shape)
    return image + noise


def test_denoising_in_colour():
    astronaut = skimage.data.astronaut()[60:124, 190:262] / 255
    colours = astronaut.reshape(32, 2, 36, 2, 3).mean((1, 3))
    given = noisy(colours, 0.1)
    done = []
    found = restoration.denoise(
        given, 0.1, step=4, progress=lambda *each: done.append(each)
    )
    assert found.shape == given.shape and found.dtype == np.float32
    assert psnr(found, colours) > psnr(given, colours) + 5
    assert done[-1] == (len(done), len(done))


@pytest.mark.usefixtures("few_atoms")
def test_inpainting(photograph):
    mask = np.random.default_rng(0).uniform(size=photograph.shape) < 0.5
    pair = [
        restoration.inpaint(np.where(mask, photograph, value), mask, step=4)
        for value in (0.0, 17.0)  # What is behind it does not matter.
    ]
    np.testing.assert_array_equal(*pair)
    found = pair[0]
    np.testing.assert_array_equal(
        found[mask], photograph[mask].astype("float32")
    )
    mean = np.where(mask, photograph, photograph[mask].mean())
    assert psnr(found, photograph) > psnr(mean, photograph) + 8


@pytest.mark.usefixtures("few_atoms")
def test_a_large_hole_is_filled():
    """Also where an atom sees no pixel at all: with what is around it."""
    image, mask = np.full((30, 30), 0.7), np.ones((30, 30))
    mask[8:22, 8:22] = 0
    found = restoration.inpaint(image * mask, mask, step=4)
    np.testing.assert_allclose(found, 0.7, atol=1e-3)


@pytest.mark.usefixtures("few_atoms")
def test_deblurring(photograph):
    kernel = np.ones((3, 4))
    full = np.pad(kernel, [(0, 0), (0, 1)]) / 12
    given = convolve2d(photograph, full, mode="valid")
    inner = photograph[1:-1, 2:-2]
    given = noisy(given, 0.5 / 255)
    found = restoration.deblur(given, kernel)
    assert psnr(found, inner) > psnr(given, inner) + 3


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.usefixtures("few_atoms")
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
        tasks.check_scale(noisy(image, noise), told)


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
        ("denoise", (IMAGE, 0.1, 9), "`step` must be at most 8"),
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
