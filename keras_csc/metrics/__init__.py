"""Measures of images, codes and features, and the probes built on them."""

from keras_csc.metrics.atom_use import match_atoms
from keras_csc.metrics.atom_use import mutual_coherence
from keras_csc.metrics.features import class_similarity
from keras_csc.metrics.features import effective_rank
from keras_csc.metrics.features import knn_accuracy
from keras_csc.metrics.features import linear_probe_accuracy
from keras_csc.metrics.features import nearest_subspace_accuracy
from keras_csc.metrics.features import retrieval_rate
from keras_csc.metrics.generative import frechet_distance
from keras_csc.metrics.generative import nearest_images
from keras_csc.metrics.generative import precision_recall
from keras_csc.metrics.reconstruction import peak_signal_to_noise_ratio
from keras_csc.metrics.reconstruction import structural_similarity
