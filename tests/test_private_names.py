"""Names of Keras and TensorFlow that they promise to nobody, and we rely on.

Without them most would not fail, but train or keep something else.
"""

import inspect

import keras
import pytest
import tensorflow as tf

from keras_csc.metrics import PeakSignalToNoiseRatio
from keras_csc.metrics import StructuralSimilarity
from keras_csc.ops.tensorflow import choose


def test_callbacks_ask_metrics_for_their_direction():
    source = inspect.getsource(inspect.getmodule(keras.callbacks.EarlyStopping))
    source += inspect.getsource(
        inspect.getmodule(keras.callbacks.EarlyStopping.__mro__[1])
    )
    assert "_direction" in source
    for metric in (PeakSignalToNoiseRatio(), StructuralSimilarity()):
        assert metric._direction == "up"


@pytest.mark.parametrize("compiled", [False, True])
def test_tensorflow_tells_what_xla_compiles(compiled):
    told = []

    @tf.function
    def inner():
        told.append(choose.is_compiled())

    @tf.function(jit_compile=compiled)
    def outer():
        told.append(choose.is_compiled())
        inner()

    outer()
    assert told == [compiled, compiled]
    assert not choose.is_compiled()
