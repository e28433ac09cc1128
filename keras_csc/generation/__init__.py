"""Densities of features, from which new images are made."""

from keras_csc.generation.density import FeatureDensity
from keras_csc.generation.gaussians import probabilistic_pca
