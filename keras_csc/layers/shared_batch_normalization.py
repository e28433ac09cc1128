import keras
from keras import ops

from keras_csc.ops.tensors import at_least_float32
from keras_csc.replicas import num_replicas
from keras_csc.replicas import replica_sum
from keras_csc.validation import check_bool
from keras_csc.validation import check_integer
from keras_csc.validation import check_number


@keras.saving.register_keras_serializable(package="keras_csc")
class SharedBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation that can take the statistics of another batch.

    `y = γ · (x - m) / √(v + ε) + β` over the last axis. In training, `m` and
    `v` are the mean and variance of the batch, over all replicas, and update
    the moving averages. In inference `m` and `v` are the moving averages. With
    `trainable = False` they are the moving averages in training, too, and no
    average moves, as in Keras's layer.

    A call with `statistics` uses these instead, and updates nothing. So
    regenerated images can be normalised with the statistics of real images:
    then a wrong scale or offset stays visible in their features.

    `isotropic` divides all channels by one deviation, the root of the mean of
    their variances. Then distances between images keep their proportions. A
    channel in which images hardly differ is mostly noise, and stays small.

    Args:
        momentum: float in `[0, 1)`, of the moving averages.
        epsilon: float, `> 0`, added to the variance.
        center: bool, whether there is an offset `β`.
        scale: bool, whether there is a scale `γ`.
        isotropic: bool, whether `v` is the mean of all channels' variances.
        **kwargs: of Keras's layer, whose `axis` must be -1, and whose `renorm`
            has no effect.

    Call arguments:
        inputs: tensor `(batch, ..., channels)`.
        training: bool.
        statistics: `(mean, variance)`, each of shape `(channels,)`, as of
            `layer.normalize(other_inputs)`.

    Input shape: `(batch, ..., channels)`. Output shape: the same.

    Raises:
        ValueError: for an argument that is not as above.

    Reference:
        Ioffe & Szegedy, Batch normalization, ICML 2015; normalisation by the
        statistics of a reference batch: Salimans et al., Improved techniques
        for training GANs, NeurIPS 2016, section 3.5.
    """

    def __init__(
        self,
        momentum=0.9,
        epsilon=1e-5,
        center=True,
        scale=True,
        isotropic=False,
        **kwargs,
    ):
        check_number("[0, 1)", momentum=momentum)
        check_number("(0, inf)", epsilon=epsilon)
        check_bool(center=center, scale=scale, isotropic=isotropic)
        check_integer(-1, -1, axis=kwargs.get("axis", -1))
        super().__init__(
            momentum=momentum,
            epsilon=epsilon,
            center=center,
            scale=scale,
            autocast=False,
            **kwargs,
        )
        self.isotropic = isotropic

    def call(self, inputs, training=None, statistics=None):
        inputs = ops.cast(inputs, self.compute_dtype)
        if statistics is not None:
            return self._scaled(inputs, *statistics)
        if not training:
            return self._scaled(inputs, *self._moving())
        outputs, statistics = self.normalize(inputs)
        self.update(*statistics)
        return outputs

    def normalize(self, inputs):
        """Normalises with the statistics of the batch, without an update.

        Returns:
            `(outputs, (mean, variance))`; the statistics are over all axes but
            the last, and over all replicas, of shape `(channels,)`. No
            gradient flows through the statistics themselves. With
            `trainable = False` they are the moving averages.
        """
        if not self.trainable:
            statistics = self._moving()
            return self._scaled(inputs, *statistics), statistics
        mean, variance = batch_statistics(inputs, self._moving()[0])
        outputs = self._scaled(inputs, mean, variance)
        return outputs, (ops.stop_gradient(mean), ops.stop_gradient(variance))

    def _moving(self):
        return (
            at_least_float32(self.moving_mean),
            at_least_float32(self.moving_variance),
        )

    def _scaled(self, inputs, mean, variance):
        """Normalises with these statistics."""
        gamma, beta = self._factors()
        variance = self._divisor(mean, variance)
        scale = ops.rsqrt(variance + self.epsilon) * gamma
        dtype = inputs.dtype
        if dtype == mean.dtype:
            return inputs * scale + (beta - mean * scale)
        # What half precision leaves of the mean is taken away later: numbers
        # that are large beside their deviation would lose it in a product.
        near = ops.cast(mean, dtype)
        offset = beta + (ops.cast(near, mean.dtype) - mean) * scale
        scale, offset = ops.cast(scale, dtype), ops.cast(offset, dtype)
        return (inputs - near) * scale + offset

    def _divisor(self, mean, variance):
        """Every channel's variance, or their mean for every channel."""
        if not self.isotropic:
            return variance
        return ops.broadcast_to(ops.mean(variance), ops.shape(mean))

    def _factors(self):
        """`(γ, β)`: a layer without a scale has 1, without an offset 0."""
        like = at_least_float32(self.moving_mean)
        gamma = self.gamma if self.scale else ops.ones_like(like)
        beta = self.beta if self.center else ops.zeros_like(like)
        return at_least_float32(gamma), at_least_float32(beta)

    def undo(self, outputs, statistics=None, gain=1.0):
        """The inverse map, `x = gain · (y - β) / γ · √(v + ε) + m`.

        No gradient flows to the statistics, `β` and `γ`.

        Args:
            outputs: tensor `(batch, ..., channels)`.
            statistics: as in a call, by default the moving averages.
            gain: number or tensor `(channels,)`.
        """
        mean, variance = self._moving() if statistics is None else statistics
        gamma, beta = map(ops.stop_gradient, self._factors())
        deviation = ops.sqrt(self._divisor(mean, variance) + self.epsilon)
        scale = gain * ops.stop_gradient(deviation / gamma)
        return (at_least_float32(outputs) - beta) * scale + mean

    def update(self, mean, variance):
        """Moves the moving averages towards a batch's `statistics`.

        With `trainable = False` they stay.
        """
        if not self.trainable:
            return
        for moving, value in (
            (self.moving_mean, mean),
            (self.moving_variance, variance),
        ):
            value = ops.cast(value, moving.dtype)
            moving.assign(moving * self.momentum + value * (1 - self.momentum))

    def get_config(self):
        return {**super().get_config(), "isotropic": self.isotropic}


def batch_statistics(inputs, near):
    """Mean and variance of every channel, over all replicas.

    Sums are of differences from a mean: float32 can't tell a small deviation
    about a large mean from none. This mean is the batch's. On several replicas
    it is `near`, a constant, as the batch's would need another collective.
    """
    inputs = at_least_float32(inputs)
    inputs = ops.reshape(inputs, (-1, inputs.shape[-1]))
    count = ops.cast(ops.shape(inputs)[0], inputs.dtype)
    if num_replicas() == 1:
        near = ops.stop_gradient(ops.mean(inputs, 0))
    inputs = inputs - ops.cast(near, inputs.dtype)
    count, total, squares = replica_sum(
        (count, ops.sum(inputs, 0), ops.sum(ops.square(inputs), 0))
    )
    rest = total / count
    mean = near + rest
    return mean, ops.maximum(squares / count - ops.square(rest), 0.0)
