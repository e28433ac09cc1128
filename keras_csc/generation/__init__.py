"""Densities of features: what images are made from that never were."""

from keras_csc.generation.density import FeatureDensity
from keras_csc.generation.gaussians import probabilistic_pca
