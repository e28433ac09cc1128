"""The optimizers of the two players."""

import math

import keras
import tensorflow as tf

from keras_csc.validation import check_at_least

# What Keras does with the gradients before it sums them over the replicas.
ON_ONE_REPLICA = (
    *("clipnorm", "clipvalue", "global_clipnorm"),
    "gradient_accumulation_steps",
)


class PlayerOptimizers:
    """What Keras's callbacks see as the `optimizer` of a model with two.

    No Keras optimizer, which `fit` would treat as the whole model's. The
    learning-rate callbacks set every one of `optimizers`.
    """

    built = True

    def __init__(self, encoder_optimizer, decoder_optimizer):
        self.optimizers = [encoder_optimizer, decoder_optimizer]

    @property
    def variables(self):
        return [v for each in self.optimizers for v in each.variables]

    @property
    def iterations(self):
        return self.optimizers[1].iterations

    @property
    def learning_rate(self):
        """The encoder's, a tensor: it can be set, for both, not assigned to."""
        return tf.convert_to_tensor(self.optimizers[0].learning_rate)

    @learning_rate.setter
    def learning_rate(self, learning_rate):
        for each in self.optimizers:
            each.learning_rate = learning_rate


def optimizers_of(encoder_optimizer, decoder_optimizer):
    """Two optimizers, of whatever `keras.optimizers.get` takes.

    Raises:
        ValueError: for one object twice, or one with a number that is not
            finite, a learning rate below 0 or a scale of the loss.
    """
    given = {
        "encoder_optimizer": encoder_optimizer,
        "decoder_optimizer": decoder_optimizer,
    }
    made = [keras.optimizers.get(optimizer) for optimizer in given.values()]
    if made[0] is made[1]:
        raise ValueError(
            "`encoder_optimizer` and `decoder_optimizer` must be two objects: "
            "an optimizer keeps the state of one player's weights. Received: "
            f"the same {type(made[0]).__name__} for both. Make another one."
        )
    for name, optimizer in zip(given, made):
        _check_numbers(name, optimizer.get_config())
        _check_no_scale(name, optimizer)
    return made


def apply(optimizer, gradients, variables):
    """Takes a step of a player, which counts even if all of it is frozen.

    Keras does nothing without gradients, and leaves `iterations` as it is.

    Args:
        optimizer: of the player.
        gradients: list, of the variables that it moves.
        variables: list of these.
    """
    optimizer.apply(gradients, variables)
    if not gradients:
        # `optimizer.iterations`, but where gradients are accumulated.
        optimizer.variables[0].assign_add(1)


def check_on_replicas(optimizers, replicas):
    """Checks that two optimizers do on several replicas as they do on one.

    Keras clips and accumulates the gradient of each replica, which is a part of
    that of the global batch, before it sums them.

    Args:
        optimizers: list of the encoder's and the decoder's.
        replicas: int, how many there are.

    Raises:
        ValueError: if one of them clips or accumulates on more than one.
    """
    for name, optimizer in zip(("encoder", "decoder"), optimizers):
        for argument in ON_ONE_REPLICA:
            value = getattr(optimizer, argument, None)
            if value and replicas > 1:
                raise ValueError(
                    f"`{name}_optimizer` must have no `{argument}` on several "
                    "replicas, each of which has a part of the gradient. "
                    f"Received: {argument}={value}, on {replicas} replicas. "
                    "Leave it out, load the file with compile=False, or train "
                    "on one device."
                )


def _check_no_scale(name, optimizer):
    """Checks that the gradients are not to be divided by a scale of the loss.

    Losses are not scaled here.
    """
    scale = getattr(optimizer, "loss_scale_factor", None)
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        scale = type(optimizer).__name__
    if scale is not None:
        raise ValueError(
            f"`{name}` must not scale the loss: the game's losses are not "
            "scaled, and steps would be too small by that factor. Received: "
            f"{scale}. Leave it out, or load the file with compile=False; for "
            "half precision, compute in dtype='mixed_bfloat16', which needs "
            "none."
        )


def _check_numbers(name, config):
    """Looks at the numbers of a configuration, a schedule's included."""
    for key, value in config.items():
        path = f"{name}.{key}"
        if isinstance(value, dict):
            _check_numbers(path, value)
        elif isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"`{path}` must be finite. Received: {value}")
        elif isinstance(value, (int, float)) and key.endswith("learning_rate"):
            check_at_least(0, **{path: value})
