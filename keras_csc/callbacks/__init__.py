"""Keras callbacks of a training run, for `fit` and for `training/train.py`."""

from keras_csc.callbacks.checkpoints import CheckpointError
from keras_csc.callbacks.checkpoints import NonFiniteError
from keras_csc.callbacks.checkpoints import StopOnNonFinite
from keras_csc.callbacks.checkpoints import TrainingCheckpoint
from keras_csc.callbacks.code_zeros import CodeZeros
from keras_csc.callbacks.logs import ProgressLine
from keras_csc.callbacks.logs import RunLog
