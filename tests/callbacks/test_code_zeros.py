import keras
import numpy as np
import pytest

from keras_csc.callbacks import CodeZeros
from keras_csc.layers import ConvSparseCoding2D


class Parts(keras.Model):
    """A model of one's own, whose layers are in a list."""

    def __init__(self, *parts):
        super().__init__()
        self.parts = parts

    def call(self, images):
        for part in self.parts:
            images = part(images)
        return images


def test_zeros_of_layers_anywhere_are_logged_and_dead_ones_told():
    images = np.random.default_rng(0).normal(size=(16, 8, 8, 1))
    first = ConvSparseCoding2D(4, 3, name="first")
    dead = ConvSparseCoding2D(4, 3, sparsity=1e9, name="dead")
    model = Parts(keras.Sequential([first]), dead)
    model.compile("sgd", "mse")
    targets = np.zeros((16, 8, 8, 4))
    arguments = {"callbacks": [CodeZeros(images)], "verbose": 0}
    with pytest.warns(UserWarning, match="All codes of the layer dead") as told:
        history = model.fit(images, targets, epochs=2, **arguments).history
    assert len(told) == 1
    assert history["zero_fraction/dead"] == [1, 1]
    share = np.mean(np.asarray(first(images.astype("float32"))) == 0)
    assert 0 < share < 1
    assert history["zero_fraction/first"][-1] == pytest.approx(share)
