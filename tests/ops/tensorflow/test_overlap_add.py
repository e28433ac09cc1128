import numpy as np
import pytest
import tensorflow as tf

from keras_csc.ops.tensorflow.overlap_add import overlap_add
from tests.helpers import references


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kernel_size", [1, 3, 4])
def test_it_is_the_synthesis(kernel_size, channels, padding):
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(kernel_size, kernel_size, channels, 6))
    size = (7, 9)
    images = np.zeros((2, *size, channels))
    codes = rng.normal(
        size=references.analyze(images, kernel, 1, padding).shape
    )
    expected = references.synthesize(codes, kernel, size, 1, padding)
    result = overlap_add(codes, tf.constant(kernel), size, padding)
    np.testing.assert_allclose(result, expected, atol=1e-12)

    @tf.function(
        input_signature=[tf.TensorSpec((None, None, None, 6), "float64")]
    )
    def of_unknown_size(codes):
        return overlap_add(
            codes, tf.constant(kernel), tf.constant(size), padding
        )

    np.testing.assert_allclose(of_unknown_size(codes), expected, atol=1e-12)
