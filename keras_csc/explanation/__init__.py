"""Which atoms make an image, stage by stage."""

from keras_csc.explanation.explaining import explain
from keras_csc.explanation.results import Explanation
from keras_csc.explanation.results import Nearest
from keras_csc.explanation.results import StageExplanation
