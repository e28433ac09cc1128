"""Pixels and images in [-1, 1]."""

import numpy as np

from keras_csc.data.images import normalize
from keras_csc.pixels import from_pixels
from keras_csc.pixels import to_pixels

ALL = np.arange(256, dtype="uint8")


def test_every_pixel_comes_back():
    images = from_pixels(ALL)
    assert images.dtype == "float32"
    assert (images[0], images[-1]) == (-1, 1)
    np.testing.assert_array_equal(to_pixels(images), ALL)


def test_pixels_are_those_of_the_pipeline():
    np.testing.assert_allclose(from_pixels(ALL), normalize(ALL), atol=1e-7)


def test_what_lies_beyond_is_cut_off():
    np.testing.assert_array_equal(to_pixels([-3.0, 3.0]), [0, 255])
