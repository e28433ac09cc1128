"""CSC-CTRL: image autoencoders of convolutional sparse coding layers.

`ops`, `constraints`, `layers`, `losses`, `optimizers` and `restoration` also
run on JAX and PyTorch; the rest is for TensorFlow.
"""

import importlib

from keras_csc import quiet  # first: it imports Keras

# isort: split
import keras

from keras_csc import constraints
from keras_csc import layers
from keras_csc import losses
from keras_csc import ops
from keras_csc import optimizers
from keras_csc import presets
from keras_csc import restoration
from keras_csc.version import __version__

if keras.backend.backend() == "tensorflow":
    from keras_csc import generation
    from keras_csc import metrics
    from keras_csc import models

# Imported when they are first used: they need more than TensorFlow.
_ON_DEMAND = (
    "callbacks",
    "data",
    "evaluation",
    "explanation",
    "explorer",
    "export",
    "features",
    "report",
    "visualization",
)


def __getattr__(name):
    if name in _ON_DEMAND:
        return importlib.import_module(f"keras_csc.{name}")
    raise AttributeError(f"module 'keras_csc' has no attribute {name!r}")
