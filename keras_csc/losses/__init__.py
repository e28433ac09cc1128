"""The games of closed-loop transcription."""

from keras_csc.losses.game import Game
from keras_csc.losses.game import Loop
from keras_csc.losses.game import Term
from keras_csc.losses.memory import MomentMemory
from keras_csc.losses.transcription import TranscriptionGame
