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
from keras_csc.optimizers import DictionaryMuon


@pytest.mark.parametrize(
    "name, parameters",
    [
        ("_should_use_adamw", ["self", "variable"]),
        (
            "_muon_update_step",
            ["self", "gradient", "variable", "lr", "m"],
        ),
        ("zeropower_via_newtonschulz5", ["self", "x", "steps"]),
    ],
)
def test_what_dictionary_muon_replaces_is_there(name, parameters):
    theirs = inspect.signature(getattr(keras.optimizers.Muon, name))
    ours = inspect.signature(getattr(DictionaryMuon, name))
    assert list(theirs.parameters) == parameters
    # Keras gives them by place, and ours have longer names.
    assert len(ours.parameters) == len(parameters)


def test_muon_calls_what_dictionary_muon_replaces():
    source = inspect.getsource(keras.optimizers.Muon)
    for name in ("_should_use_adamw", "_muon_update_step"):
        assert f"self.{name}(" in source


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
