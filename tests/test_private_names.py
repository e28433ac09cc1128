"""Names of Keras and TensorFlow that they promise to nobody, and we rely on.

Without them most would not fail, but train or keep something else.
"""

import inspect

import keras

from keras_csc.metrics import PeakSignalToNoiseRatio
from keras_csc.metrics import StructuralSimilarity


def test_callbacks_ask_metrics_for_their_direction():
    source = inspect.getsource(inspect.getmodule(keras.callbacks.EarlyStopping))
    source += inspect.getsource(
        inspect.getmodule(keras.callbacks.EarlyStopping.__mro__[1])
    )
    assert "_direction" in source
    for metric in (PeakSignalToNoiseRatio(), StructuralSimilarity()):
        assert metric._direction == "up"
