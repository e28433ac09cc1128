"""The denoiser beside loops of NumPy in float64, on tiles and as shipped."""

import numpy as np
import pytest
import skimage.data

from keras_csc.restoration import SparseDenoiser
from keras_csc.restoration import estimate_noise
from keras_csc.restoration import geometry
from keras_csc.restoration.geometry import BORDER
from keras_csc.restoration.sparse_denoiser import shipped


def random_denoiser(kernel_size, iterations, channels=1):
    """One whose dictionaries and thresholds are all different."""
    rng = np.random.default_rng(0)
    denoiser = SparseDenoiser(6, kernel_size, iterations, channels)
    denoiser.set_weights(
        [
            0.2 / channels * rng.normal(size=w.shape)
            if len(w.shape) > 2
            else 0.1 * rng.uniform(size=w.shape)
            for w in denoiser.weights
        ]
    )
    return denoiser


def mirrored(image):
    """With the border, to sides that four divides."""
    height, width = image.shape[:2]
    after = [BORDER + -n % 4 for n in (height, width)]
    widths = [(BORDER, n) for n in after]
    return np.pad(image, [*widths, (0, 0)], "symmetric")


def patches(size, kernel_size):
    """Where the atoms lie: of code `i` from pixel `2 i - (k - 2)/2` on."""
    first = [2 * i - (kernel_size - 2) // 2 for i in range(size // 2)]
    return [(max(n, 0), min(n + kernel_size, size), n) for n in first]


def drawn(codes, atoms, shape):
    image, k = np.zeros(shape), len(atoms)
    for i, (top, bottom, row) in enumerate(patches(shape[0], k)):
        for j, (left, right, column) in enumerate(patches(shape[1], k)):
            whole = atoms @ codes[i, j]
            image[top:bottom, left:right] += whole[
                top - row : bottom - row, left - column : right - column
            ]
    return image


def correlated(image, atoms):
    k = len(atoms)
    codes = np.zeros((*(n // 2 for n in image.shape[:2]), atoms.shape[-1]))
    for i, (top, bottom, row) in enumerate(patches(image.shape[0], k)):
        for j, (left, right, column) in enumerate(patches(image.shape[1], k)):
            part = atoms[top - row : bottom - row]
            part = part[:, left - column : right - column]
            codes[i, j] = np.einsum(
                "yxc,yxcf->f", image[top:bottom, left:right], part
            )
    return codes


def shrunk(codes, threshold):
    return np.sign(codes) * np.maximum(np.abs(codes) - threshold, 0)


@pytest.mark.parametrize("kernel_size, channels", [(8, 1), (4, 1), (8, 3)])
def test_it_is_unrolled_sparse_coding(kernel_size, channels):
    denoiser = random_denoiser(kernel_size, 3, channels)
    image = np.random.default_rng(1).uniform(size=(9, 14, channels))
    noise = 0.3
    analysis, synthesis, offsets, slopes = map(
        np.float64, denoiser.get_weights()
    )
    whole = mirrored(image)
    signal = whole - whole.mean((0, 1))
    codes = np.zeros((len(whole) // 2, whole.shape[1] // 2, 6))
    for step in range(3):
        residual = signal
        if step:
            residual = signal - drawn(codes, synthesis[step - 1], signal.shape)
        codes = codes + correlated(residual, analysis[step])
        codes = shrunk(codes, offsets[step] + slopes[step] * noise)
    expected = drawn(codes, synthesis[2], signal.shape) + whole.mean((0, 1))
    inner = np.s_[BORDER : BORDER + 9, BORDER : BORDER + 14]
    given = (image[None].astype("float32"), np.float32([noise]))
    np.testing.assert_allclose(denoiser.codes(*given)[0], codes, atol=1e-4)
    np.testing.assert_allclose(denoiser(given)[0], expected[inner], atol=1e-4)
    # In training the border is of the image, which it lacks afterwards.
    given = (whole[None].astype("float32"), given[1])
    made = denoiser(given, training=True)[0]
    np.testing.assert_allclose(
        made, expected[BORDER:-BORDER, BORDER:-BORDER], atol=1e-4
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_it_begins_as_a_tight_frame(channels):
    """Without thresholds an image comes back, but at the border."""
    denoiser = SparseDenoiser(64 * channels, iterations=2, channels=channels)
    image = np.random.default_rng(0).uniform(size=(1, 32, 40, channels))
    made = denoiser((image.astype("float32"), np.float32([0.0])))
    np.testing.assert_allclose(made, image, atol=1e-5)


def test_colours_begin_as_three_grey_images():
    """Grey, and two differences of colours, orthonormal."""
    grey = random_denoiser(8, iterations=2)
    denoiser = SparseDenoiser(18, iterations=2, channels=3)
    denoiser.begin_as(grey)
    images = np.random.default_rng(0).uniform(size=(2, 11, 18, 3))
    noise = np.float32([0.1, 0.3])
    made = np.asarray(denoiser((np.float32(images), noise)))
    for red, green, blue in ((1, 1, 1), (1, 0, -1), (1, -2, 1)):
        colour = np.array([red, green, blue]) / np.hypot(
            np.hypot(red, green), blue
        )
        plane = np.float32(images @ colour)[..., None]
        expected = grey((plane, noise))[..., 0]
        np.testing.assert_allclose(made @ colour, expected, atol=1e-4)
    few = SparseDenoiser(8, iterations=2, channels=3)
    few.begin_as(grey)
    for weight, whole in zip(few.get_weights(), denoiser.get_weights()):
        np.testing.assert_array_equal(weight, whole[..., :8])


def test_tiles_are_the_whole(monkeypatch):
    denoiser = SparseDenoiser(96, iterations=4, channels=3)
    image = skimage.data.astronaut()[:221, :120] / 255
    whole = denoiser.denoise(image, 0.1)
    monkeypatch.setattr(geometry, "TILE", 160)
    done = []
    tiles = denoiser.denoise(image, 0.1, lambda *each: done.append(each))
    assert done == [(n, 4) for n in range(1, 5)]
    np.testing.assert_allclose(tiles, whole, atol=1e-5)


def test_the_mean_of_turned_images():
    denoiser = random_denoiser(8, iterations=1)
    image = np.random.default_rng(0).uniform(size=(10, 13, 1))
    expected = np.zeros(image.shape)
    for rotations in range(4):
        for mirrored_too in (False, True):
            turned = np.rot90(image, rotations)
            turned = np.fliplr(turned) if mirrored_too else turned
            made = denoiser.denoise(turned, 0.1)
            made = np.fliplr(made) if mirrored_too else made
            expected += np.rot90(made, -rotations) / 8
    done = []
    made = denoiser.denoise(image, 0.1, lambda *e: done.append(e), turns=8)
    np.testing.assert_allclose(made, expected, atol=1e-6)
    assert done == [(n, 8) for n in range(1, 9)]


@pytest.mark.parametrize("channels", [1, 3])
def test_the_shipped_denoiser(channels):
    denoiser = shipped(channels)
    assert denoiser.count_params() <= {1: 70_000, 3: 300_000}[channels]
    image = skimage.data.astronaut()[:128, 130:258, :channels] / 255
    more = {1: 0, 3: 1.2}[channels]
    for noise, least in ((15, 32.3), (25, 29.9), (50, 26.8)):
        rng = np.random.default_rng(0)
        noisy = image + noise / 255 * rng.normal(size=image.shape)
        error = np.mean((denoiser.denoise(noisy, noise / 255) - image) ** 2)
        assert -10 * np.log10(error) > least + more


@pytest.mark.parametrize("noise", [5 / 255, 25 / 255, 0.5])
def test_noise_is_estimated(noise):
    smooth = np.linspace(0, 1, 200)[:, None] * np.ones((200, 180))
    image = smooth + noise * np.random.default_rng(0).normal(size=smooth.shape)
    found = estimate_noise(image[..., None])
    np.testing.assert_allclose(found, noise, rtol=0.03)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"kernel_size": 11}, "`kernel_size` must be at most 10"),
        ({"filters": 65}, "`filters` must be at most 64"),
        ({"filters": 193, "channels": 3}, "`filters` must be at most 192"),
        ({"channels": 2}, "`channels` must be 1 or 3. Received: 2"),
        ({"iterations": 0}, "`iterations` must be"),
        ({"iterations": 101}, "`iterations` must be"),
    ],
)
def test_mistakes_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        SparseDenoiser(**arguments)
    with pytest.raises(ValueError, match="`turns` must be"):
        SparseDenoiser(4, 2, 1).denoise(np.zeros((9, 20, 1)), 0.1, turns=9)


@pytest.mark.parametrize(
    "image, message",
    [
        (np.zeros((9, 20, 1)), "from 16 pixels a side on"),
        (np.full((20, 20, 1), np.nan), "`image` must be finite"),
        (np.zeros((20, 20, 1), "complex64"), "array of floats.*complex64"),
        (np.zeros((20, 20, 2)), r"array of floats.*\(20, 20, 2\)"),
        (np.full((20, 20, 3), 255.0), "Divide pixels of 0..255"),
    ],
)
def test_noise_of_what_is_no_image_is_not_estimated(image, message):
    with pytest.raises(ValueError, match=message):
        estimate_noise(image)
