"""Which layers of a player are not trained, kept with its configuration.

Keras keeps that of a model, and not of its layers: a model that is loaded would
train them again, and Keras leave out the state of its optimizers, which have
other variables.
"""

FROZEN = "frozen_layers"


def frozen_layers(player):
    """Names of the layers with `trainable = False`, as a part of a config."""
    names = [layer.name for layer in player.layers if not layer.trainable]
    return {FROZEN: names}


def without_frozen_layers(config):
    """A config as a constructor takes it, and the names that it held."""
    config = dict(config)
    return config, config.pop(FROZEN, None)


def freeze(player, names):
    """Trains the layers but those of such names, and returns the player.

    With `None` for the names it is left as its constructor made it.
    """
    if names is not None:
        for layer in player.layers:
            layer.trainable = layer.name not in names
    return player
