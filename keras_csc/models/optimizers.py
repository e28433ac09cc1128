"""The optimizers of the two players."""

import math

import keras

from keras_csc.validation import check_at_least


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
        return self.optimizers[0].learning_rate


def optimizers_of(encoder_optimizer, decoder_optimizer):
    """Two optimizers, of whatever `keras.optimizers.get` takes.

    Raises:
        ValueError: for one object twice, or one with a number that is not
            finite or a learning rate below 0.
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
    return made


def _check_numbers(name, config):
    """Looks at the numbers of a configuration, a schedule's included."""
    for key, value in config.items():
        path = f"{name}.{key}"
        if isinstance(value, dict):
            _check_numbers(path, value)
        elif isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"`{path}` must be finite. Received: {value}")
        elif isinstance(value, (int, float)) and "learning_rate" in key:
            check_at_least(0, **{path: value})
