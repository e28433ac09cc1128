"""Pixels and images in [-1, 1]."""

import numpy as np
import pytest

from keras_csc.data.images import normalize
from keras_csc.evaluation import passes
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


def test_pixels_are_uint8():
    pixels = np.array([[0, 51, 255]], "uint8")
    floats = passes.as_floats(pixels)
    np.testing.assert_allclose(floats, [[-1, -0.6, 1]], atol=1e-6)
    np.testing.assert_array_equal(passes.as_floats(floats), floats)
    with pytest.raises(ValueError, match="must be uint8.*of int64"):
        passes.as_floats(pixels.astype("int64"))
    with pytest.raises(ValueError, match="must be uint8.*of float32"):
        from_pixels(floats)
