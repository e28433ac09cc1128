"""Batch normalisation in one pass, by TensorFlow's fused operation."""

import tensorflow as tf

from keras_csc.ops.tensorflow import choose


def batch_normalization(inputs, gamma, beta, epsilon):
    """Normalises with the statistics of the batch.

    Args:
        inputs: tensor `(batch, height, width, channels)`.
        gamma: float32 tensor `(channels,)`.
        beta: float32 tensor `(channels,)`.
        epsilon: float.

    Returns:
        `(outputs, mean, variance)`. No gradient flows through the moments.
    """
    if choose.is_compiled():
        return _shifted(inputs, gamma, beta, epsilon)
    return _normalized(inputs, gamma, beta, epsilon)


def _shifted(inputs, gamma, beta, epsilon):
    """The same, of differences from the mean.

    XLA's variance is the mean square less the square of the mean, which can't
    tell a small deviation about a large mean from none, nor from less. Other
    kernels would take two passes over memory more.
    """
    numbers = tf.cast(inputs, gamma.dtype)
    near = tf.stop_gradient(tf.reduce_mean(numbers, (0, 1, 2)))
    outputs, mean, variance = _normalized(numbers - near, gamma, beta, epsilon)
    return tf.cast(outputs, inputs.dtype), near + mean, variance


def _normalized(inputs, gamma, beta, epsilon):
    nothing = tf.zeros(0)
    outputs, mean, variance = _fused(
        inputs, gamma, beta, nothing, nothing, epsilon, is_training=True
    )
    # The operation returns the variance with Bessel's correction.
    count = tf.cast(tf.size(inputs) // inputs.shape[-1], variance.dtype)
    return outputs, mean, variance * (count - 1) / count


def scaled_normalization(inputs, gamma, beta, mean, variance, epsilon):
    """Normalises with a given mean and variance.

    Args:
        inputs: tensor `(batch, height, width, channels)`.
        gamma: float32 tensor `(channels,)`.
        beta: float32 tensor `(channels,)`.
        mean: float32 tensor `(channels,)`.
        variance: float32 tensor `(channels,)`.
        epsilon: float.

    Returns:
        Tensor of the shape of `inputs`. Gradients flow to `inputs`, `gamma`
        and `beta`.
    """
    return _fused(
        inputs, gamma, beta, mean, variance, epsilon, is_training=False
    )[0]


def _fused(inputs, gamma, beta, mean, variance, epsilon, is_training):
    return tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=gamma,
        offset=beta,
        mean=mean,
        variance=variance,
        epsilon=epsilon,
        is_training=is_training,
    )[:3]
