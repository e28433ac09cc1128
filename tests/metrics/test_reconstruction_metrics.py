import numpy as np
import pytest
import tensorflow as tf
from skimage.metrics import peak_signal_noise_ratio
from skimage.metrics import structural_similarity as skimage_ssim

from keras_csc.metrics import peak_signal_to_noise_ratio
from keras_csc.metrics import structural_similarity

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


def test_images_hold_the_window():
    images = np.zeros((2, 11, 16, 1), "float32")
    assert structural_similarity(images, images).shape == (2,)
    with pytest.raises(ValueError, match=r"11×11 pixels.*\(2, 10, 16, 1\)"):
        structural_similarity(images[:, 1:], images[:, 1:])
