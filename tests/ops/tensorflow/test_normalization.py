import numpy as np
import pytest
import tensorflow as tf

from keras_csc.ops.tensorflow import batch_normalization

EPSILON = 1e-9
GAMMA, BETA = np.array([0.5, 1.5, -1.0]), np.array([0.1, 0.2, 0.3])


def normalized(inputs, upstream):
    """Outputs, moments, and the gradients of `sum(outputs * upstream)`."""
    axes, count = (0, 1, 2), inputs[..., 0].size
    mean, variance = inputs.mean(axes), inputs.var(axes)
    deviation = np.sqrt(variance + EPSILON)
    unit = (inputs - mean) / deviation
    by_gamma, by_beta = (upstream * unit).sum(axes), upstream.sum(axes)
    by_inputs = upstream - (by_beta + unit * by_gamma) / count
    return (
        GAMMA * unit + BETA,
        mean,
        variance,
        by_inputs * GAMMA / deviation,
        by_gamma,
        by_beta,
    )


@pytest.mark.parametrize(
    "dtype, mean, tolerance, compiled",
    [
        ("float32", 0, 1e-5, False),
        ("float32", 1000, 1e-3, True),
        ("bfloat16", 200, 0.01, True),
        ("float16", 2000, 2e-3, False),
    ],
)
def test_a_small_deviation_about_a_large_mean(dtype, mean, tolerance, compiled):
    """Compiled by XLA, too, whose own variance was negative of such."""
    rng = np.random.default_rng(0)
    numbers = mean + rng.normal(size=(64, 6, 7, 3))
    inputs = tf.cast(numbers, dtype)
    upstream = tf.cast(rng.normal(size=numbers.shape), dtype)

    @tf.function(jit_compile=compiled)
    def found(inputs, gamma, beta):
        with tf.GradientTape() as tape:
            tape.watch((inputs, gamma, beta))
            outputs, *moments = batch_normalization(
                inputs, gamma, beta, EPSILON
            )
        gradients = tape.gradient(outputs, (inputs, gamma, beta), upstream)
        return outputs, *moments, *gradients

    factors = [tf.constant(factor, "float32") for factor in (GAMMA, BETA)]
    exact = [tf.cast(x, "float64").numpy() for x in (inputs, upstream)]
    for one, other in zip(found(inputs, *factors), normalized(*exact)):
        error = np.max(np.abs(tf.cast(one, "float64") - other))
        assert error <= tolerance * max(np.max(np.abs(other)), 1)
