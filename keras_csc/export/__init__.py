"""Trained models for any TensorFlow, and for servers."""

from keras_csc.export.card import export_preset
from keras_csc.export.features import export_features
from keras_csc.export.saved_model import export_saved_model
