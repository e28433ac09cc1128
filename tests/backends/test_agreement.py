"""JAX and torch compute what TensorFlow does: `make test-backends`."""

import os
import sys

import cases
import keras
import numpy as np
import pytest

import keras_csc

REFERENCE = os.environ["TENSORFLOW_RESULTS"]


@pytest.fixture(scope="module")
def expected():
    with np.load(REFERENCE) as file:
        return dict(file)


def test_the_package_needs_no_tensorflow():
    assert "keras_csc" in sys.modules
    assert "tensorflow" not in sys.modules


def test_a_layer_that_predict_builds_is_one_that_was_built():
    keras.utils.set_random_seed(0)
    layer = keras_csc.layers.ConvSparseCoding2D(4, 3)
    keras.Sequential([layer]).predict(cases.pictures(8, 8, 2), verbose=0)
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    norms = np.sqrt(np.sum(kernel**2, (0, 1, 2)))
    np.testing.assert_allclose(norms, 1, rtol=1e-5)
    largest = 9 * np.linalg.norm(kernel.reshape(-1, 4), 2) ** 2
    assert largest <= float(layer.operator_norm) < 1.01 * largest


@pytest.mark.parametrize("case", list(cases.cases()), ids=lambda case: case[0])
def test_values_and_gradients_are_those_of_tensorflow(case, expected):
    name, function, inputs = case
    outputs, gradients = cases.evaluate(function, inputs)
    for kind, arrays in (("value", outputs), ("gradient", gradients)):
        for number, array in enumerate(arrays):
            other = expected[f"{name}/{kind} {number}"]
            assert array.shape == other.shape
            error = np.linalg.norm(array - other)
            scale = max(np.linalg.norm(other), 1.0)
            assert error <= 1e-5 * scale, (kind, number)
