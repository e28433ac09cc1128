"""SavedModels of trained autoencoders, for any TensorFlow and for servers."""

from keras_csc.export.preset import export_preset
from keras_csc.export.saved_model import export_saved_model
from keras_csc.export.saved_model import verify_saved_model

__all__ = ["export_preset", "export_saved_model", "verify_saved_model"]
