import contextlib

import numpy as np
import pytest
import tensorflow as tf

from keras_csc.ops import normal_operator
from keras_csc.ops.tensorflow import fusion
from tests.helpers import references

# Kernel size, strides, padding, image size.
BY_GRAM_KERNEL = [
    (4, 2, "same", (6, 4)),
    (3, 2, "same", (7, 8)),
    (2, 2, "same", (4, 6)),
    (3, 1, "same", (5, 6)),
    (3, 2, "valid", (8, 7)),
    (5, 3, "same", (9, 10)),
]
BY_BOTH_OPERATORS = [
    (5, 1, "same", (6, 6)),  # Two rows of atoms are not whole.
    (4, 4, "same", (4, 8)),  # One row of atoms.
]


def problem(kernel_size, strides, padding, image_size, channels=12):
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(kernel_size, kernel_size, channels, 3))
    analysis, _ = references.analysis_matrix(
        kernel, image_size, strides, padding
    )
    images = rng.normal(size=(2, *image_size, channels))
    codes = references.analyze(images, kernel, strides, padding)
    return kernel, analysis, codes


@pytest.mark.parametrize("case", BY_GRAM_KERNEL + BY_BOTH_OPERATORS, ids=str)
def test_it_is_the_matrix_times_its_transpose(case):
    size, strides, padding, image_size = case
    kernel, analysis, codes = problem(*case)
    outside = normal_operator.pixels_outside(
        kernel.shape[:2], image_size, strides, padding
    )
    assert (outside is None) == (case in BY_BOTH_OPERATORS)
    with fusion():
        apply = normal_operator.normal_operator(
            tf.constant(kernel), image_size, strides, padding, 0.5
        )
    rows = codes.reshape(2, -1)
    expected = 0.5 * rows @ analysis @ analysis.T
    found = apply(tf.constant(codes)).numpy().reshape(2, -1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_the_gram_kernel_is_for_many_channels():
    assert normal_operator.is_cheaper((4, 4, 12, 8), 2)
    assert not normal_operator.is_cheaper((4, 4, 3, 8), 2)


def test_gradients_are_those_of_the_other_form():
    case = BY_GRAM_KERNEL[1]
    kernel, _, codes = problem(*case)
    inputs = [tf.constant(kernel), tf.constant(codes)]
    weights = np.random.default_rng(1).normal(size=codes.shape)
    found = []
    for context in (contextlib.nullcontext, fusion):
        with context(), tf.GradientTape() as tape:
            tape.watch(inputs)
            apply = normal_operator.normal_operator(
                inputs[0], case[3], *case[1:3], 0.5
            )
            value = tf.reduce_sum(weights * apply(inputs[1]))
        found.append(tape.gradient(value, inputs))
    for gradient, expected in zip(*found):
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-9)
