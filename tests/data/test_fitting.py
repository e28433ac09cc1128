import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from skimage.data import astronaut

from keras_csc.data import images


def fit(image, shape, seed=None):
    if image.ndim == 2:
        image = image[..., None]
    seed = None if seed is None else tf.constant([7, seed], tf.int64)
    return images.fit(tf.constant(image), shape, seed).numpy()


@pytest.mark.parametrize("size", [(28, 28), (31, 28)])
def test_small_differences_are_padded_with_black(make, size):
    image = make.noise(*size)
    top, left = (32 - size[0]) // 2, (32 - size[1]) // 2
    expected = np.zeros((32, 32, 3), np.uint8)
    expected[top : top + size[0], left : left + size[1]] = image
    np.testing.assert_array_equal(fit(image, (32, 32, 3)), expected)


def test_larger_differences_are_enlarged(make):
    image = np.full((27, 27, 3), 200, np.uint8)
    assert (fit(image, (32, 32, 3)) == 200).all()


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((130, 200), (32, 32)),
        ((218, 178), (64, 64)),
        ((97, 61), (24, 40)),
        ((20, 33), (64, 64)),
    ],
)
def test_other_sizes_cover_and_are_cropped_as_pillow_does(size, shape):
    image = astronaut()[60 : 60 + size[0], 150 : 150 + size[1]]
    scale = max(shape[0] / size[0], shape[1] / size[1])
    rows, columns = (round(length * scale) for length in size)
    top, left = (rows - shape[0]) // 2, (columns - shape[1]) // 2
    resized = np.asarray(
        Image.fromarray(image).resize((columns, rows), Image.BILINEAR)
    )
    expected = resized[top : top + shape[0], left : left + shape[1]]
    found = fit(image, (*shape, 3)).astype(int)
    assert np.abs(found - expected).max() <= 1


def test_grayscale_is_repeated_for_colour_models(make):
    image = make.noise(16, 16, 1)
    found = fit(image, (16, 16, 3))
    for channel in range(3):
        np.testing.assert_array_equal(found[..., channel], image)


def test_random_crops_move_along_the_long_side_only(make):
    image = make.noise(16, 24)
    windows = {image[:, i : i + 16].tobytes() for i in range(9)}
    found = [fit(image, (16, 16, 3), seed).tobytes() for seed in range(80)]
    assert set(found) == windows
    assert fit(image, (16, 16, 3), 3).tobytes() == found[3]


def test_can_crop():
    assert images.can_crop((None, None, 3), (32, 32, 3))
    assert images.can_crop((218, 178, 3), (64, 64, 3))
    assert not images.can_crop((64, 64, 3), (32, 32, 3))
    assert not images.can_crop((28, 28, 1), (32, 32, 1))
    assert not images.can_crop((32, 30, 1), (32, 32, 1))
