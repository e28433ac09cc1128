"""Keras callbacks of a training run, for `fit` and for `training/train.py`."""

from keras_csc.callbacks.best import KeepBest
from keras_csc.callbacks.best import restore_best
from keras_csc.callbacks.checkpoints import CheckpointError
from keras_csc.callbacks.checkpoints import TrainingCheckpoint
from keras_csc.callbacks.finite import NonFiniteError
from keras_csc.callbacks.finite import StopOnNonFinite
from keras_csc.callbacks.pictures import PictureLog
from keras_csc.callbacks.progress import ProgressLine
from keras_csc.callbacks.scalars import ScalarLog
