import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import correlate1d
from skimage.metrics import peak_signal_noise_ratio
from skimage.metrics import structural_similarity as skimage_ssim

from keras_csc.metrics import multiscale_structural_similarity
from keras_csc.metrics import peak_signal_to_noise_ratio
from keras_csc.metrics import structural_similarity
from keras_csc.metrics.reconstruction import scales_that_fit

METRICS = [peak_signal_to_noise_ratio, structural_similarity]


def image_pair(n=4, height=17, width=20):
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (n, height, width, 3))
    noise = rng.normal(scale=0.2, size=images.shape)
    return images.astype("float32"), (images + noise).astype("float32")


def test_psnr_and_ssim_agree_with_scikit_image():
    images, reconstructions = image_pair()
    psnr, ssim = [], []
    for x, y in zip(images.astype("float64"), reconstructions):
        y = np.clip(y.astype("float64"), -1, 1)
        psnr.append(peak_signal_noise_ratio(x, y, data_range=2))
        similarity = skimage_ssim(
            (x + 1) / 2,
            (y + 1) / 2,
            data_range=1,
            channel_axis=-1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        ssim.append(similarity)
    found = peak_signal_to_noise_ratio(images, reconstructions)
    np.testing.assert_allclose(found, psnr, rtol=1e-5)
    found = structural_similarity(images, reconstructions)
    np.testing.assert_allclose(found, ssim, atol=2e-5)


def windowed_mean(image):
    """Means over the 11x11 Gaussian windows within a grey image."""
    window = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    for axis in (0, 1):
        image = correlate1d(image, window / window.sum(), axis)
    return image[5:-5, 5:-5]


def reference_ms_ssim(x, y, weights):
    """Wang, Simoncelli & Bovik, 2003, for one grey image in [0, 1]."""
    value = 1.0
    for scale, weight in enumerate(weights, start=1):
        if scale > 1:
            x, y = (
                (z[::2, ::2] + z[1::2, ::2] + z[::2, 1::2] + z[1::2, 1::2]) / 4
                for z in (x, y)
            )
        mean_x, mean_y = windowed_mean(x), windowed_mean(y)
        covariance = windowed_mean(x * y) - mean_x * mean_y
        variances = windowed_mean(x * x) - mean_x**2
        variances += windowed_mean(y * y) - mean_y**2
        part = (2 * covariance + 0.03**2) / (variances + 0.03**2)
        if scale == len(weights):
            part *= 2 * mean_x * mean_y + 0.01**2
            part /= mean_x**2 + mean_y**2 + 0.01**2
        value *= max(np.mean(part), 0) ** weight
    return value


@pytest.mark.parametrize("side, scales", [(32, 2), (192, 5)])
def test_ms_ssim_agrees_with_the_paper_in_float64(side, scales):
    images, reconstructions = image_pair(2, side, side + 16)
    # Noise alone has no structure at coarse scales.
    images = np.cumsum(images, axis=1) / 20
    images = np.clip(images, -1, 1)
    reconstructions = np.clip(images + 0.3 * reconstructions, -1, 1)
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333][:scales])
    expected = [
        np.mean(
            [
                reference_ms_ssim(
                    (x[..., c].astype("float64") + 1) / 2,
                    (y[..., c].astype("float64") + 1) / 2,
                    weights / weights.sum(),
                )
                for c in range(3)
            ]
        )
        for x, y in zip(images, reconstructions)
    ]
    values = multiscale_structural_similarity(images, reconstructions)
    assert scales_that_fit(side, side + 16) == scales
    assert np.max(expected) < 0.95
    np.testing.assert_allclose(values, expected, atol=2e-5)


@pytest.mark.parametrize("function", METRICS)
def test_nan_is_not_hidden_and_half_precision_is_not_computed_in(function):
    images, reconstructions = (tf.cast(x, "bfloat16") for x in image_pair())
    full = [np.float32(x) for x in (images, reconstructions)]
    half = function(images, reconstructions)
    assert half.dtype == "float32"
    np.testing.assert_array_equal(half, function(*full))
    full[1][0, 0, 0, 0] = np.nan
    values = np.asarray(function(*full))
    assert np.isnan(values[0]) and np.isfinite(values[1])


@pytest.mark.parametrize("function", METRICS)
def test_what_qualities_refuse(function):
    images, _ = image_pair()
    with pytest.raises(ValueError, match="incompatible"):
        function(images, images[:, 1:])
    with pytest.raises(ValueError, match="floats.*uint8"):
        function(images.astype("uint8"), images)


@pytest.mark.parametrize(
    "function", [structural_similarity, multiscale_structural_similarity]
)
def test_images_hold_the_window(function):
    images = np.zeros((2, 11, 16, 1), "float32")
    assert function(images, images).shape == (2,)
    with pytest.raises(ValueError, match=r"11×11 pixels.*\(2, 10, 16, 1\)"):
        function(images[:, 1:], images[:, 1:])
