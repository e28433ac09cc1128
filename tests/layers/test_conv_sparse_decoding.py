import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_csc.layers import ConvSparseCoding2D
from keras_csc.layers import ConvSparseDecoding2D
from tests.helpers import references


def codes(size=(4, 5), filters=4, batch=3, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(batch, *size, filters)).astype(dtype)


def test_symbolic_shape_with_an_image_size():
    layer = ConvSparseDecoding2D(2, 3, strides=2)
    result = layer(keras.Input((4, 5, 3)), image_size=(7, 10))
    assert result.shape == (None, 7, 10, 2)


def test_a_size_that_has_other_codes_is_refused_before_there_are_any():
    codes = keras.Input((16, 16, 4))
    with pytest.raises(ValueError, match="None, 25, 25, 4"):
        ConvSparseDecoding2D(3, 4, strides=2)(codes, image_size=(50, 50))


@pytest.mark.parametrize("strides, padding", [(1, "same"), (2, "valid")])
def test_layer_is_the_synthesis(strides, padding):
    size = (10, 9)
    coding = ConvSparseCoding2D(4, 3, strides=strides, padding=padding)
    decoding = ConvSparseDecoding2D(
        2, 3, strides=strides, padding=padding, dtype="float64"
    )
    z = codes(coding.compute_output_shape((3, *size, 2))[1:3], dtype="float64")
    synthesized = decoding(z, image_size=size).numpy()
    kernel = decoding.kernel.numpy()
    norms = np.sqrt(np.sum(kernel**2, axis=(0, 1, 2)))
    np.testing.assert_allclose(norms, 1, atol=1e-5)
    np.testing.assert_allclose(
        synthesized,
        references.synthesize(z, kernel, size, strides, padding),
        atol=1e-12,
    )


@pytest.mark.parametrize(
    "coding",
    [
        ConvSparseCoding2D(4, 3, strides=2),
        keras.layers.Conv2D(4, 3, use_bias=False),
    ],
    ids=["coding", "head"],
)
def test_a_layer_draws_with_the_atoms_of_another(coding):
    coding.build((None, 8, 10, 2))
    layer = ConvSparseDecoding2D(coding_layer=coding)
    z = codes()
    result = layer(z)
    assert not layer.variables
    strides, padding = layer.strides, coding.padding
    own = ConvSparseDecoding2D(2, 3, strides, padding)
    own.build(z.shape)
    own.kernel.assign(coding.kernel)
    np.testing.assert_array_equal(result, own(z))
    if isinstance(coding, ConvSparseCoding2D):
        np.testing.assert_array_equal(result, coding.synthesize(z))
    assert layer.compute_output_shape(z.shape) == result.shape
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(layer(z) ** 2)
    assert np.any(tape.gradient(value, coding.kernel.value))
    with pytest.raises(NotImplementedError, match="the model of both"):
        layer.get_config()


def test_codes_of_unknown_shape():
    layer = ConvSparseDecoding2D(2, 3)
    codes = np.random.default_rng(0).normal(size=(1, 8, 8, 4)).astype("float32")
    expected = layer(codes)

    @tf.function(input_signature=[tf.TensorSpec([None] * 4)])
    def run(codes):
        return layer(codes)

    np.testing.assert_allclose(run(codes), expected, atol=1e-6)
