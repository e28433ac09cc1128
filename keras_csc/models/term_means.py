"""What `fit` logs of a game."""

import keras


class TermMeans:
    """Means over batches of the terms of a game.

    No list or layer, which Keras would track: a model that is built can get no
    more state, but its game is known only when it is compiled.

    Args:
        names: of the terms.
    """

    def __init__(self, names):
        self.metrics = [keras.metrics.Mean(name=name) for name in names]
