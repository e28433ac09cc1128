"""Details that are damaged and restored."""

import numpy as np
import pytest
import skimage.data

from keras_csc.explorer import damage
from keras_csc.explorer import restore_detail


@pytest.fixture(scope="module")
def image():
    pixels = skimage.data.camera()[100:300, 180:260, None]
    return pixels.astype("float32") / 127.5 - 1


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(damage, "SIDE", 48)


def decibels(one, other):
    error = np.mean((np.float64(one) - np.clip(other, -1, 1)) ** 2)
    return 10 * np.log10(4 / error)


def test_noise_is_added_and_removed(image, small):
    seen = []
    found = restore_detail(
        image, "add noise", 25, seed=3, progress=lambda *n: seen.append(n)
    )
    np.testing.assert_array_equal(found.detail, image[76:124, 16:64])
    rng = np.random.default_rng(3)
    noise = 2 * 25 / 255 * rng.normal(size=found.detail.shape)
    np.testing.assert_allclose(found.damaged, found.detail + noise, atol=1e-5)
    assert found.damaged_psnr == pytest.approx(
        decibels(found.detail, found.damaged), abs=1e-3
    )
    assert found.psnr == pytest.approx(
        decibels(found.detail, found.restored), abs=1e-3
    )
    assert found.psnr > found.damaged_psnr + 4
    assert seen[-1][0] == seen[-1][1] == len(seen)


def test_holes_are_filled_in_and_the_rest_stays(image, small):
    found = restore_detail(image, "squares", share=0.2, seed=1)
    known = damage.mask((48, 48), "squares", 0.2, np.random.default_rng(1))
    np.testing.assert_allclose(
        found.restored[known], found.detail[known], atol=1e-6
    )
    np.testing.assert_allclose(found.damaged[~known], 0, atol=1e-6)
    assert found.psnr > found.damaged_psnr + 6


def test_of_its_own_noise_no_figure_is_given(image, small):
    found = restore_detail(image, "has noise", 10)
    np.testing.assert_allclose(found.damaged, found.detail, atol=1e-6)
    assert found.psnr is None and found.damaged_psnr is None
    roughness = [
        np.mean(np.square(np.diff(each, axis=0)))
        for each in (found.detail, found.restored)
    ]
    assert roughness[1] < roughness[0]


@pytest.mark.parametrize("holes, share", [("pixels", 0.8), ("squares", 0.1)])
def test_about_so_much_is_missing(holes, share):
    known = damage.mask((60, 90), holes, share, np.random.default_rng(2))
    assert known.dtype == bool
    assert abs(np.mean(~known) - share) < 0.06


def test_other_tasks_are_refused(image):
    with pytest.raises(ValueError, match="`task` must be one of"):
        restore_detail(image, "x")
