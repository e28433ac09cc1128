"""The portable forms are those of TensorFlow, which other tests check."""

import keras
import numpy as np
import pytest

from keras_csc import ops
from keras_csc.ops import dispatch
from keras_csc.ops import portable
from keras_csc.ops import tensorflow
from tests.helpers import references
from tests.helpers.geometries import CASES
from tests.helpers.geometries import SIZES
from tests.helpers.geometries import draw


@pytest.fixture
def another(monkeypatch):
    """The portable forms, run by TensorFlow."""
    monkeypatch.setattr(keras.backend, "backend", lambda: "another")


def test_tensorflow_has_all_the_forms():
    assert dispatch.forms() is tensorflow
    names = {
        name
        for name, value in vars(portable).items()
        if getattr(value, "__module__", None) == portable.__name__
        and not name.startswith("_")
    }
    assert {"synthesis", "analysis", "fusable"} <= names
    assert names < set(vars(tensorflow))


@pytest.mark.parametrize("kernel_size, strides, padding", CASES)
def test_synthesis_is_the_same(another, kernel_size, strides, padding):
    assert dispatch.forms() is portable
    for image_size in SIZES:
        kernel, images = draw(1, kernel_size, image_size)
        codes = references.analyze(images, kernel, strides, padding)
        expected = references.synthesize(
            codes, kernel, image_size, strides, padding
        )
        result = ops.synthesis(codes, kernel, image_size, strides, padding)
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("kernel_size, strides, padding", CASES)
def test_filter_gradient_is_the_same(kernel_size, strides, padding):
    for image_size in SIZES:
        kernel, images = draw(2, kernel_size, image_size)
        codes = references.analyze(images, kernel, strides, padding)
        arguments = (images, codes, kernel.shape, strides, padding)
        np.testing.assert_allclose(
            portable.filter_gradient(*arguments),
            tensorflow.filter_gradient(*arguments),
            rtol=0,
            atol=1e-10,
        )


def test_what_is_not_a_number_stays_so(another):
    values = np.array([np.nan, 1.0, -3.0])
    for nonnegative, last in ((False, -2), (True, 0)):
        found = ops.soft_threshold(values, 1.0, nonnegative)
        np.testing.assert_array_equal(found, [np.nan, 0, last])
