import numpy as np
import pytest
import skimage.transform
from scipy.ndimage import correlate1d
from scipy.signal import convolve2d

from keras_csc import restoration
from keras_csc.restoration import checks
from keras_csc.restoration import restoring
from keras_csc.restoration import tasks
from keras_csc.restoration.dictionaries import dictionary_layer
from keras_csc.restoration.restoring import dictionary_kernel


def psnr(found, image):
    return -10 * np.log10(np.mean((np.asarray(found) - image) ** 2))


def noisy(image, noise, seed=0):
    noise = noise * np.random.default_rng(seed).standard_normal(image.shape)
    return image + noise


@pytest.fixture
def few():
    """Settings that take little time."""
    return tasks.DENOISE._replace(rounds=2, iterations=10)


def test_denoising(photograph, grey, few):
    given = noisy(photograph, 0.1)
    found = restoration.denoise(given, 0.1, grey, few)
    assert found.shape == given.shape and found.dtype == np.float32
    assert psnr(found, photograph) > psnr(given, photograph) + 5


def test_denoising_in_colour(colours):
    given = noisy(colours, 0.1)
    done = []
    found = restoration.denoise(
        given,
        0.1,
        settings=tasks.DENOISE._replace(step=8, iterations=20),
        progress=lambda *each: done.append(each),
    )
    assert psnr(found, colours) > psnr(given, colours) + 5
    assert done[-1] == (len(done), len(done))


def test_inpainting(photograph, grey):
    mask = np.random.default_rng(0).uniform(size=photograph.shape) < 0.5
    found = restoration.inpaint(photograph * mask, mask, dictionary=grey)
    np.testing.assert_array_equal(
        found[mask], photograph[mask].astype("float32")
    )
    mean = np.where(mask, photograph, photograph[mask].mean())
    assert psnr(found, photograph) > psnr(mean, photograph) + 8


def test_what_is_behind_the_mask_does_not_matter(photograph, grey, few):
    mask = np.random.default_rng(0).uniform(size=photograph.shape) < 0.5
    few = few._replace(adaptation=None)
    pair = [
        restoration.inpaint(
            np.where(mask, photograph, value), mask, 0.0, grey, few
        )
        for value in (0.0, 17.0)
    ]
    np.testing.assert_array_equal(*pair)


def test_a_large_hole_is_filled(grey, few):
    """Also where an atom sees no pixel at all: with what is around it."""
    image, mask = np.full((30, 30), 0.7), np.ones((30, 30))
    mask[8:22, 8:22] = 0
    few = few._replace(adaptation=None)
    found = restoration.inpaint(image * mask, mask, 0.0, grey, few)
    np.testing.assert_allclose(found, 0.7, atol=1e-3)


def test_deblurring(photograph, grey):
    kernel = np.ones((3, 4))
    full = np.pad(kernel, [(0, 0), (0, 1)]) / 12
    given = convolve2d(photograph, full, mode="valid")
    inner = photograph[1:-1, 2:-2]
    given = noisy(given, 0.5 / 255)
    found = restoration.deblur(given, kernel, dictionary=grey)
    assert psnr(found, inner) > psnr(given, inner) + 3


def test_the_middle_of_an_even_blur_is_the_second_of_two():
    """It is where a point was: no blur at all, and nothing is moved."""
    for axis in (0, 1):
        kernel, expected = (
            np.expand_dims(each, axis) for each in ([0.0, 1.0], [0, 1, 0])
        )
        np.testing.assert_array_equal(checks.blur(kernel), expected)


@pytest.mark.parametrize("factor", [2, 3])
def test_enlarging(photograph, grey, factor):
    image = photograph[:36, :42]
    kernel = tasks.anti_aliasing(factor)
    wave = kernel.sum(0)
    blurred = image
    for axis in (0, 1):
        blurred = correlate1d(blurred, wave, axis, mode="nearest")
    middle = factor // 2
    small = blurred[middle::factor, middle::factor]
    found = restoration.enlarge(small, factor, dictionary=grey)
    assert found.shape == image.shape
    shift = (factor - 1) / 2 - middle
    places = np.mgrid[:36, :42].astype("float64") + shift
    places = (places - (factor - 1) / 2) / factor
    spline = skimage.transform.warp(small, places, order=3, mode="edge")
    assert psnr(found, image) > psnr(spline, image) + 0.3


def shrunk(kernel, patch, threshold):
    """A patch of a few cosines: all but the constant one go nearer to 0."""
    codes = kernel.T @ patch.ravel()
    threshold = threshold * np.r_[0, np.ones(15)]
    codes -= np.clip(codes, -threshold, threshold)
    return (kernel @ codes).reshape(4, 4)


@pytest.mark.parametrize("smoothness", [1e9, None])
def test_one_shift_by_numpy(photograph, grey, smoothness):
    """Cosines are orthonormal: the solution is one soft threshold."""
    noise, image = 0.05, photograph[:13, :17].astype("float64")
    settings = tasks.DENOISE._replace(
        rounds=1,
        step=4,
        smoothness=smoothness,
        flat_weight=0.0,
        tolerance=1e-6,
        adaptation=None,
    )
    image = image - image.mean()  # the smooth part of so large an `α`
    found = restoring.restore(
        image[..., None], np.ones((1, 1, 1)), None, noise, grey, settings
    )
    kernel = dictionary_kernel(grey).astype("float64").reshape(16, 16)
    # The first window begins three pixels before the image; patches that lie
    # inside of the image see all of it.
    for top in range(1, 9, 4):
        for left in range(1, 13, 4):
            here = np.s_[top : top + 4, left : left + 4]
            expected = shrunk(kernel, image[here], settings.sparsity * noise)
            np.testing.assert_allclose(found[here][..., 0], expected, atol=2e-5)


def test_records_are_of_every_program(photograph, grey, few):
    records = []
    settings = few._replace(step=4, tolerance=None)
    restoration.denoise(photograph, 0.1, grey, settings, records=records)
    assert [np.shape(each.objective) for each in records] == [(10, 1)] * 2


def test_windows_by_few_at_a_time(photograph, grey, few, monkeypatch):
    """What memory is for changes nothing."""
    given = noisy(photograph, 0.1)
    settings = few._replace(tolerance=None)
    at_once = restoration.denoise(given, 0.1, grey, settings)
    monkeypatch.setattr(restoring, "MOST_CODES", 1)
    one_by_one = restoration.denoise(given, 0.1, grey, settings)
    np.testing.assert_allclose(at_once, one_by_one, atol=1e-5)


@pytest.mark.parametrize("level, noise", [(0.0, 0.2), (1.0, 1.0)])
def test_noise_that_is_not_cut_off_is_taken(grey, few, level, noise):
    """Half of it lies beyond black, or white; also with half more than told."""
    image = np.full((40, 40), level)
    few = few._replace(rounds=1, step=4, iterations=1)
    for told in (noise, noise / 1.5):
        given = noisy(image, noise)
        assert restoration.denoise(given, told, grey, few).shape == (40, 40)


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
        ("denoise", (IMAGE, 0.1, "atoms"), "`dictionary` must be a layer"),
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


def test_a_level_by_numpy(photograph, grey):
    """One soft threshold, and one division: cosines are orthonormal."""
    image = photograph[:12, :16].astype("float64")
    mask = np.random.default_rng(0).uniform(size=image.shape) < 0.7
    settings = tasks.DENOISE._replace(
        rounds=1, step=4, sparsity=0.0, flat_weight=0.0, adaptation=None
    )
    level, noise = 0.1, 0.02
    with_level = settings._replace(
        levels=(level,),
        prior=settings._replace(sparsity=1.5, tolerance=1e-7),
    )
    arguments = (image * mask)[..., None], mask[..., None], None, noise, grey
    before = restoring.restore(*arguments, settings)[..., 0]
    after = restoring.restore(*arguments, with_level)[..., 0]
    kernel = dictionary_kernel(grey).astype("float64").reshape(16, 16)
    for top in range(1, 8, 4):
        for left in range(1, 12, 4):
            here = np.s_[top : top + 4, left : left + 4]
            mean = shrunk(kernel, before[here], 1.5 * level)
            weight = mask[here] / noise**2
            expected = weight * image[here] + mean / level**2
            expected /= weight + 1 / level**2
            np.testing.assert_allclose(after[here], expected, atol=1e-4)


def test_levels_below_the_noise_are_the_noise(photograph, grey, few):
    mask = np.random.default_rng(0).uniform(size=photograph.shape) < 0.5
    prior = few._replace(adaptation=None)
    pair = [
        restoration.inpaint(
            photograph * mask,
            mask,
            0.1,
            grey,
            prior._replace(levels=(level,), prior=prior),
        )
        for level in (0.15, 1e-4)
    ]
    np.testing.assert_array_equal(*pair)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({}, "without a mask and a blur"),
        ({"adaptation": None, "levels": (0.1,)}, "go with a `prior`"),
        (
            {"adaptation": None, "levels": (0.1,), "prior": tasks.DENOISE},
            "go with a `prior`",
        ),
        ({"rounds": 0}, "`rounds` must be an integer of at least 1"),
        ({"smoothness": 0.0}, "`smoothness` must be a number in"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    photograph, grey, changes, message
):
    mask = np.random.default_rng(0).uniform(size=photograph.shape) < 0.5
    settings = tasks.DENOISE._replace(**changes)
    with pytest.raises(ValueError, match=message):
        restoration.inpaint(photograph * mask, mask, 0.0, grey, settings)


def test_dictionaries_that_do_not_fit_are_refused(photograph, grey, colours):
    with pytest.raises(ValueError, match="images of 3 channels"):
        restoration.denoise(colours, 0.1, grey)
    overlapping = dictionary_layer(np.asarray(grey.kernel), 2, 0.1)
    with pytest.raises(ValueError, match="adaptation=None"):
        restoration.denoise(photograph, 0.1, overlapping)
