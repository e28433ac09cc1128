"""What the metrics refuse, which else would be another figure."""

import numpy as np
import pytest

from keras_csc import metrics

FEATURES = np.random.default_rng(0).normal(size=(9, 4))
LABELS = np.arange(9) % 3
IMAGES = np.zeros((2, 12, 24, 3), "float32")
SETS = FEATURES, LABELS, FEATURES, LABELS
PAIRS = [metrics.cosine_similarity, metrics.retrieval_rate]
SAMPLES = [metrics.frechet_distance, metrics.precision_recall]
PROBES = [
    metrics.nearest_subspace_accuracy,
    metrics.knn_accuracy,
    metrics.linear_probe_accuracy,
]
QUALITIES = [metrics.peak_signal_to_noise_ratio, metrics.structural_similarity]


def refusals():
    for pair in PAIRS:
        yield pair, (FEATURES, FEATURES[1:]), "same shape.*9, 4.*8, 4"
    for distance in SAMPLES:
        yield distance, (FEATURES, FEATURES[:, :2]), "4.*2|2.*4"
        yield distance, (FEATURES, FEATURES * np.nan), "NaN"
    for probe in PROBES:
        few = FEATURES, LABELS[1:], FEATURES, LABELS
        yield probe, few, r"\(9, 4\) and \(8,\)"
        none = FEATURES, LABELS, FEATURES, np.full(9, -1)
        yield probe, none, "9 rows, all unlabelled"
        wrong = FEATURES, LABELS, FEATURES * np.nan, LABELS
        yield probe, wrong, "finite"
    for components in (0, 4):
        yield PROBES[0], (*SETS, components), "`components`"
    yield metrics.subspace_angles, (FEATURES, LABELS, 4), "components=4"
    for quality in QUALITIES:
        yield quality, (IMAGES, IMAGES[:, 1:]), "incompatible"
        yield quality, (IMAGES.astype("uint8"), IMAGES), "floats.*uint8"
    for wrong in (np.ones((20, 3)), np.full((20, 2), np.nan)):
        yield metrics.inception_score, (wrong,), "sum to 1.*sums from"


@pytest.mark.parametrize("metric, arguments, message", list(refusals()))
def test_what_metrics_refuse(metric, arguments, message):
    with pytest.raises(ValueError, match=message):
        metric(*arguments)
