"""Measures of images, codes and features, and the probes built on them."""

from keras_csc.metrics.features import cosine_similarity
from keras_csc.metrics.features import effective_rank
from keras_csc.metrics.features import retrieval_rate
from keras_csc.metrics.probes import knn_accuracy
from keras_csc.metrics.probes import linear_probe_accuracy
from keras_csc.metrics.probes import nearest_subspace_accuracy
from keras_csc.metrics.reconstruction import PeakSignalToNoiseRatio
from keras_csc.metrics.reconstruction import StructuralSimilarity
from keras_csc.metrics.reconstruction import peak_signal_to_noise_ratio
from keras_csc.metrics.reconstruction import structural_similarity
from keras_csc.metrics.sparsity import zero_fraction

__all__ = [
    "PeakSignalToNoiseRatio",
    "StructuralSimilarity",
    "cosine_similarity",
    "effective_rank",
    "knn_accuracy",
    "linear_probe_accuracy",
    "nearest_subspace_accuracy",
    "peak_signal_to_noise_ratio",
    "retrieval_rate",
    "structural_similarity",
    "zero_fraction",
]
