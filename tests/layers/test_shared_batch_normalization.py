import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_csc.layers import SharedBatchNormalization
from tests.helpers.reference_loop import shards


def batch(seed=0, shape=(6, 4, 5, 3), dtype="float32"):
    rng = np.random.default_rng(seed)
    scales = np.array([0.5, 1.0, 3.0])
    return (rng.normal(size=shape) * scales + scales).astype(dtype)


@pytest.mark.parametrize(
    "center, scale, dtype, tolerance",
    [(True, True, "float64", 1e-9), (False, True, "float32", 3e-5)],
)
def test_layer_agrees_with_that_of_keras(center, scale, dtype, tolerance):
    arguments = {"epsilon": 0.01, "center": center, "scale": scale}
    ours = SharedBatchNormalization(momentum=0.8, dtype=dtype, **arguments)
    theirs = keras.layers.BatchNormalization(
        momentum=0.8, dtype="float64", **arguments
    )
    for layer in (ours, theirs):
        layer.build((None, 4, 5, 3))
        if scale:
            layer.gamma.assign([0.5, 1.5, -1.0])
        if center:
            layer.beta.assign([0.1, 0.2, 0.3])
    for seed in range(3):
        results = []
        for layer in (ours, theirs):
            inputs = tf.constant(batch(seed, dtype=layer.compute_dtype))
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                outputs = layer(inputs, training=True)
                value = tf.reduce_sum(outputs**3)
            sources = [inputs, *(v.value for v in layer.trainable_variables)]
            results.append([outputs, *tape.gradient(value, sources)])
        for one, other in zip(*results):
            error = np.max(np.abs(np.subtract(one, other)))
            assert error <= tolerance * np.max(np.abs(other))
    for name in ("moving_mean", "moving_variance"):
        np.testing.assert_allclose(
            getattr(ours, name), getattr(theirs, name), rtol=tolerance
        )
    assert np.all(np.abs(ours.moving_mean.numpy()) > 0.1)
    inputs = batch(9, dtype=dtype)
    np.testing.assert_allclose(
        ours(inputs), theirs(inputs), rtol=tolerance, atol=tolerance
    )


def test_another_axis_is_an_error():
    with pytest.raises(ValueError, match="`axis` must be at most -1"):
        SharedBatchNormalization(axis=1)


def test_isotropic_normalisation_is_that_of_the_mean_variance():
    layer = SharedBatchNormalization(isotropic=True)
    layer.build((None, 4, 5, 3))
    layer.gamma.assign([0.5, 1.5, -1.0])
    layer.beta.assign([0.1, 0.2, 0.3])
    layer.moving_mean.assign([1.0, 2.0, 3.0])
    layer.moving_variance.assign([1.0, 2.0, 6.0])
    inputs = batch()
    expected = (inputs - [1, 2, 3]) / np.sqrt(3 + layer.epsilon)
    expected = expected * [0.5, 1.5, -1.0] + [0.1, 0.2, 0.3]
    np.testing.assert_allclose(layer(inputs), expected, atol=1e-5)
    trained, moments = layer.normalize(inputs)
    np.testing.assert_allclose(moments[0], inputs.mean((0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(moments[1], inputs.var((0, 1, 2)), rtol=1e-4)
    np.testing.assert_array_equal(trained, layer(inputs, training=True))
    np.testing.assert_allclose(layer.undo(trained, moments), inputs, atol=1e-4)


def test_frozen_layer_is_that_of_inference_in_training():
    layer = SharedBatchNormalization(isotropic=True)
    layer(batch(), training=True)
    expected = layer(batch(1)).numpy()
    before = [variable.numpy() for variable in layer.weights]
    layer.trainable = False
    np.testing.assert_array_equal(layer(batch(1), training=True), expected)
    outputs, moments = layer.normalize(batch(1))
    np.testing.assert_array_equal(outputs, expected)
    layer.update(np.ones(3), np.ones(3))
    for variable, value in zip(layer.weights, before):
        np.testing.assert_array_equal(variable, value)
    np.testing.assert_array_equal(moments[0], layer.moving_mean)
    np.testing.assert_array_equal(moments[1], layer.moving_variance)


def test_given_moments_normalise_and_nothing_is_updated():
    layer = SharedBatchNormalization(dtype="float64")
    layer.build((None, 4, 5, 3))
    layer.gamma.assign([0.5, 1.5, -1.0])
    layer.beta.assign([0.1, 0.2, 0.3])
    real, other = batch(0, dtype="float64"), 2 * batch(1, dtype="float64")
    mean, variance = real.mean((0, 1, 2)), real.var((0, 1, 2))
    before = layer.get_weights()
    _, moments = layer.normalize(real)
    result = layer(other, training=True, statistics=moments)
    expected = (other - mean) / np.sqrt(variance + layer.epsilon)
    expected = expected * [0.5, 1.5, -1.0] + [0.1, 0.2, 0.3]
    np.testing.assert_allclose(result, expected, rtol=1e-10, atol=1e-12)
    for weight, after in zip(before, layer.get_weights()):
        np.testing.assert_array_equal(weight, after)
    layer.update(*moments)
    np.testing.assert_allclose(layer.moving_mean, 0.1 * mean, rtol=1e-12)
    np.testing.assert_allclose(
        layer.moving_variance, 0.9 + 0.1 * variance, rtol=1e-12
    )


def test_statistics_are_those_of_the_global_batch(mirrored):
    """As exact as of one device, where the moving mean is near the batch's."""
    strategy = mirrored(2)
    rng = np.random.default_rng(0)
    inputs = (1000 + 0.1 * rng.normal(size=(200, 3))).astype("float32")
    with strategy.scope():
        layer = SharedBatchNormalization(epsilon=1e-9)
        layer.build((None, 3))
        layer.moving_mean.assign([999.9, 1000.0, 1000.1])
    data = (shards(strategy, inputs),)
    parts = strategy.run(layer, data, {"training": True})
    result = np.concatenate(strategy.experimental_local_results(parts))
    exact = inputs.astype("float64")
    expected = (exact - exact.mean(0)) / exact.std(0)
    np.testing.assert_allclose(result, expected, atol=0.01)
    np.testing.assert_allclose(
        layer.moving_variance, 0.9 + 0.1 * exact.var(0), rtol=1e-5
    )


@pytest.mark.parametrize("compiled", [False, True])
def test_a_small_deviation_about_a_large_mean(compiled):
    layer = SharedBatchNormalization(epsilon=1e-9)
    rng = np.random.default_rng(0)
    inputs = (1000 + 0.1 * rng.normal(size=(2000, 3))).astype("float32")
    layer.build(inputs.shape)
    normalize = tf.function(layer.normalize, jit_compile=compiled)
    outputs = normalize(inputs)[0].numpy()
    np.testing.assert_allclose(np.std(outputs), 1, atol=0.02)
    np.testing.assert_allclose(np.mean(outputs), 0, atol=0.02)


@pytest.mark.parametrize(
    "dtype, shape",
    [("mixed_bfloat16", (64, 3)), ("mixed_float16", (4, 4, 4, 3))],
)
def test_half_precision_keeps_a_large_mean(dtype, shape):
    """Numbers that it has are as far from their mean as they are."""
    values = 256 + 2.0 * np.random.default_rng(0).integers(-3, 4, shape)
    half = SharedBatchNormalization(dtype=dtype, isotropic=True)
    exact = SharedBatchNormalization(isotropic=True)
    found = half(values, training=True)
    assert found.dtype == dtype.removeprefix("mixed_")
    assert {v.dtype for v in half.variables} == {"float32"}
    expected = exact(values, training=True)
    np.testing.assert_allclose(
        tf.cast(found, "float32"), expected, rtol=0.01, atol=0.01
    )
