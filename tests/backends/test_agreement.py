"""JAX and torch compute what TensorFlow does: `make test-backends`."""

import os
import sys

import cases
import numpy as np
import pytest

REFERENCE = os.environ["TENSORFLOW_RESULTS"]


@pytest.fixture(scope="module")
def expected():
    with np.load(REFERENCE) as file:
        return dict(file)


def test_the_package_needs_no_tensorflow():
    assert "keras_csc" in sys.modules
    assert "tensorflow" not in sys.modules


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
