"""What is measured of a trained autoencoder, and the networks that measure.

`evaluate` measures everything. The other functions measure a part.
"""

from keras_csc.evaluation.drawing import draw
from keras_csc.evaluation.evaluating import Evaluation
from keras_csc.evaluation.evaluating import compare
from keras_csc.evaluation.evaluating import evaluate
from keras_csc.evaluation.evaluating import sample_figures
from keras_csc.evaluation.networks import FeatureExtractor
from keras_csc.evaluation.networks import ImageClassifier
from keras_csc.evaluation.networks import classifier_extractor
from keras_csc.evaluation.networks import fit_classifier
