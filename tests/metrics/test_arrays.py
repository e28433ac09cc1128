"""What the metrics refuse."""

import numpy as np
import pytest

from keras_csc import metrics

FEATURES = np.random.default_rng(0).normal(size=(9, 4))
LABELS = np.arange(9) % 3
IMAGES = np.zeros((2, 12, 24, 3), "float32")
CODES = np.zeros((2, 4, 4, 3))
SETS = FEATURES, LABELS, FEATURES, LABELS
PAIRS = [
    metrics.cosine_similarity,
    metrics.retrieval_rate,
    metrics.frechet_distance,
    metrics.kernel_distance,
    metrics.precision_recall,
    metrics.nearest_neighbors,
]
PROBES = [
    metrics.nearest_subspace_accuracy,
    metrics.knn_accuracy,
    metrics.linear_probe_accuracy,
]
QUALITIES = [
    metrics.peak_signal_to_noise_ratio,
    metrics.structural_similarity,
]


def refusals():
    for pair in PAIRS:
        yield pair, (FEATURES, FEATURES[:, :2]), r"shape \([n9], 4\)"
    yield pair, (FEATURES, FEATURES * np.nan), "must be finite"
    yield pair, (FEATURES[0], FEATURES[0]), "must have shape"
    yield pair, (FEATURES[:0], FEATURES), "at least 1"
    for pair in PAIRS[:2]:
        yield pair, (FEATURES, FEATURES[1:]), r"shape \(9, 4\)"
    for pair in PAIRS[2:5]:
        yield pair, (FEATURES, FEATURES[:1]), "`others`.*at least [24]"
    for probe in PROBES:
        few = FEATURES, LABELS[1:], FEATURES, LABELS
        yield probe, few, "`train_features` and `train_labels`"
        none = FEATURES, LABELS, FEATURES, np.full(9, -1)
        yield probe, none, "`test_labels`.*unlabelled"
    narrow = FEATURES, LABELS, FEATURES[:, :3], LABELS
    yield probe, narrow, r"`test_features`.*\(n, 4\)"
    wrong = FEATURES, LABELS, FEATURES * np.nan, LABELS
    yield probe, wrong, "`test_features` must be finite"
    for quality in QUALITIES:
        yield quality, (IMAGES, IMAGES[:, 1:]), "incompatible"
        yield quality, (IMAGES.astype("uint8"), IMAGES), "floats.*uint8"
    for others in (IMAGES[..., :1], IMAGES[:0]):
        yield metrics.nearest_images, (IMAGES, others), "12, 24, 3"
    retrieval = metrics.pixel_retrieval_rate
    yield retrieval, (IMAGES, IMAGES[1:]), r"shape \(2, 12, 24, 3\)"
    yield retrieval, (IMAGES[0], IMAGES[0]), "`images` must have shape"
    yield retrieval, (IMAGES, IMAGES + np.nan), "must be finite"
    for components in (0, [2, 4]):
        yield PROBES[0], (*SETS, components), r"components=\[?[0-9]"
    yield PROBES[1], (*SETS, 10), "n_neighbors"
    yield PROBES[2], (FEATURES, 0 * LABELS, *SETS[2:]), "2 classes"
    arguments = FEATURES, LABELS, 4
    yield metrics.subspace_angles, arguments, "components=4"
    score = metrics.inception_score
    yield score, (np.ones((20, 3)),), "sum to 1.*sums from 3"
    yield score, (np.full((10, 2), 0.5), 11), "at least 11"
    yield metrics.code_density, (CODES[0],), r"`codes`.*\(4, 4, 3\)"
    yield metrics.code_density, (CODES[:0],), "at least 1"
    yield metrics.code_density, (CODES + np.nan,), "finite"
    yield metrics.code_density, (CODES, "x"), "places.*'x'"
    yield metrics.mutual_coherence, (CODES[0],), "`kernel`"
    other = CODES, CODES[..., 1:]
    yield metrics.dictionary_stability, other, r"`other`.*4, 3\)"


@pytest.mark.parametrize("metric, arguments, message", list(refusals()))
def test_what_metrics_refuse(metric, arguments, message):
    with pytest.raises(ValueError, match=message):
        metric(*arguments)
