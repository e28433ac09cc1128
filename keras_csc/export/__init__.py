"""Trained models for any TensorFlow, servers and other runtimes."""

from keras_csc.export.card import export_preset
from keras_csc.export.denoiser import export_denoiser
from keras_csc.export.features import export_features
from keras_csc.export.runtimes import load_runtime
from keras_csc.export.saved_model import export_runtime
from keras_csc.export.saved_model import export_saved_model
