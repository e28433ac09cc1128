import numpy as np
import pytest
import tensorflow as tf

from keras_csc import ops
from keras_csc.ops.tensorflow import fusion
from keras_csc.ops.tensorflow.synthesis import overlap_add
from tests.helpers import references
from tests.helpers.geometries import CASES
from tests.helpers.geometries import SIZES

STRIDED = [case for case in CASES if case[1] > 1]


@pytest.mark.parametrize("kernel_size, strides, padding", STRIDED)
def test_the_gradient_of_training_is_that_of_the_synthesis(
    kernel_size, strides, padding
):
    rng = np.random.default_rng(2)
    for image_size in SIZES:
        kernel = rng.normal(size=(kernel_size, kernel_size, 2, 3))
        images = rng.normal(size=(2, *image_size, 2))
        codes = references.analyze(images, kernel, strides, padding)
        inputs = [tf.constant(codes), tf.constant(kernel)]

        def run():
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                result = ops.synthesis(*inputs, image_size, strides, padding)
                loss = tf.reduce_sum(result * images)
            return (result, *tape.gradient(loss, inputs))

        plain = run()
        with fusion():
            trained = run()
        for value, expected in zip(trained, plain):
            np.testing.assert_allclose(value, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    "kernel_size, channels, padding",
    [(1, 1, "same"), (3, 3, "valid"), (4, 1, "same"), (4, 3, "valid")],
)
def test_overlap_add_is_the_synthesis(kernel_size, channels, padding):
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(kernel_size, kernel_size, channels, 6))
    size = (7, 9)
    images = np.zeros((2, *size, channels))
    codes = rng.normal(
        size=references.analyze(images, kernel, 1, padding).shape
    )
    expected = references.synthesize(codes, kernel, size, 1, padding)
    result = overlap_add(codes, tf.constant(kernel), size, 1, padding)
    np.testing.assert_allclose(result, expected, atol=1e-12)

    @tf.function(
        input_signature=[tf.TensorSpec((None, None, None, 6), "float64")]
    )
    def of_unknown_size(codes):
        return overlap_add(
            codes, tf.constant(kernel), tf.constant(size), 1, padding
        )

    np.testing.assert_allclose(of_unknown_size(codes), expected, atol=1e-12)
