"""The objectives of closed-loop transcription."""

from keras_csc.losses.memory import MomentMemory
from keras_csc.losses.transcription import TranscriptionGame
