"""Presets: what every model of ours is saved to, loaded from and shared by.

A preset is a folder, of this machine, of the package or of a hub. `folder` says
what it holds.
"""

from keras_csc.presets.folder import FILES
from keras_csc.presets.model import PresetModel
from keras_csc.presets.model import load_preset
from keras_csc.presets.places import TRAINED
