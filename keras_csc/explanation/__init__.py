"""Which atoms make an image, stage by stage."""

from keras_csc.explanation.explained import Explanation
from keras_csc.explanation.explained import StageExplanation
from keras_csc.explanation.explaining import explain
