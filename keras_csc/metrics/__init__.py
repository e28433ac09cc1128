"""Measures of images, codes and features, and the probes built on them."""

from keras_csc.metrics.dictionaries import atom_energies
from keras_csc.metrics.dictionaries import code_density
from keras_csc.metrics.dictionaries import dead_atoms
from keras_csc.metrics.dictionaries import dictionary_stability
from keras_csc.metrics.dictionaries import match_atoms
from keras_csc.metrics.dictionaries import mutual_coherence
from keras_csc.metrics.dictionaries import rare_atoms
from keras_csc.metrics.features import cosine_similarity
from keras_csc.metrics.features import effective_rank
from keras_csc.metrics.features import pixel_retrieval_rate
from keras_csc.metrics.features import retrieval_rate
from keras_csc.metrics.generative import FeatureStatistics
from keras_csc.metrics.generative import frechet_distance
from keras_csc.metrics.generative import inception_score
from keras_csc.metrics.generative import kernel_distance
from keras_csc.metrics.generative import nearest_images
from keras_csc.metrics.generative import precision_recall
from keras_csc.metrics.generative import same_class_rate
from keras_csc.metrics.probes import knn_accuracy
from keras_csc.metrics.probes import linear_probe_accuracy
from keras_csc.metrics.probes import nearest_neighbors
from keras_csc.metrics.probes import nearest_subspace_accuracy
from keras_csc.metrics.probes import pooled_codes
from keras_csc.metrics.probes import subspace_distances
from keras_csc.metrics.reconstruction import PeakSignalToNoiseRatio
from keras_csc.metrics.reconstruction import StructuralSimilarity
from keras_csc.metrics.reconstruction import multiscale_structural_similarity
from keras_csc.metrics.reconstruction import peak_signal_to_noise_ratio
from keras_csc.metrics.reconstruction import scales_that_fit
from keras_csc.metrics.reconstruction import structural_similarity
from keras_csc.metrics.references import reference_psnr
from keras_csc.metrics.sparsity import zero_fraction
from keras_csc.metrics.subspaces import class_effective_ranks
from keras_csc.metrics.subspaces import subspace_angles

__all__ = [
    "FeatureStatistics",
    "PeakSignalToNoiseRatio",
    "StructuralSimilarity",
    "atom_energies",
    "class_effective_ranks",
    "code_density",
    "cosine_similarity",
    "dead_atoms",
    "dictionary_stability",
    "effective_rank",
    "frechet_distance",
    "inception_score",
    "kernel_distance",
    "knn_accuracy",
    "linear_probe_accuracy",
    "match_atoms",
    "multiscale_structural_similarity",
    "mutual_coherence",
    "nearest_images",
    "nearest_neighbors",
    "nearest_subspace_accuracy",
    "peak_signal_to_noise_ratio",
    "pixel_retrieval_rate",
    "pooled_codes",
    "precision_recall",
    "rare_atoms",
    "reference_psnr",
    "retrieval_rate",
    "same_class_rate",
    "scales_that_fit",
    "structural_similarity",
    "subspace_angles",
    "subspace_distances",
    "zero_fraction",
]
