import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics.pairwise import paired_cosine_distances

from keras_csc.metrics import cosine_similarity
from keras_csc.metrics import effective_rank
from keras_csc.metrics import retrieval_rate


def sphere(n, d, seed=0):
    features = np.random.default_rng(seed).normal(size=(n, d))
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def perturbed(features, scale, seed=1):
    noise = np.random.default_rng(seed).normal(size=features.shape)
    return features + scale * noise


def brute_force_retrieval(features, reconstructed):
    hits = 0
    for i, query in enumerate(reconstructed):
        own = np.linalg.norm(query - features[i])
        others = np.delete(features, i, axis=0)
        hits += all(np.linalg.norm(query - other) > own for other in others)
    return hits / len(features)


def test_cosine_agrees_with_scikit_learn():
    features = sphere(30, 6)
    reconstructed = perturbed(features, 0.5)
    expected = 1 - np.mean(paired_cosine_distances(features, reconstructed))
    value = cosine_similarity(features, reconstructed)
    assert value == pytest.approx(expected, rel=1e-12)
    assert cosine_similarity(features, 0 * features) == 0


def test_retrieval_agrees_with_brute_force():
    features = sphere(40, 5)
    reconstructed = perturbed(features, 0.3)
    value = retrieval_rate(features, reconstructed)
    assert value == brute_force_retrieval(features, reconstructed)


@pytest.mark.parametrize("origin", [0, 1e4])
def test_ties_are_misses(origin):
    """Also where distances from a matrix product are rounding errors."""
    features = origin + sphere(6, 300)
    features[3] = features[2]
    assert retrieval_rate(features, features) == pytest.approx(4 / 6)
    collapsed = np.repeat(features[:1], 6, axis=0)
    assert retrieval_rate(features, collapsed) == pytest.approx(1 / 6)
    assert retrieval_rate(collapsed, features) == 0
    assert retrieval_rate(features[:1], features[1:2]) == 1


def test_retrieval_of_images_agrees_with_brute_force():
    images = np.random.default_rng(2).uniform(-1, 1, (40, 4, 5, 3))
    images[7] = images[8]
    made = perturbed(images, 0.8).astype("float32")
    images = images.astype("float32")
    value = retrieval_rate(images, made)
    rows = (each.reshape(40, -1).astype("float64") for each in (images, made))
    assert value == brute_force_retrieval(*rows)
    assert value < 1


def test_effective_rank_agrees_with_the_definition():
    features = sphere(30, 6) * np.arange(1, 7)
    p = np.sqrt(np.linalg.eigvalsh(features.T @ features))
    p = p / np.sum(p)
    expected = np.exp(-np.sum(p * np.log(p)))
    assert effective_rank(features) == pytest.approx(expected, rel=1e-9)
    assert effective_rank(np.ones((20, 3))) == pytest.approx(1, abs=1e-9)
    assert effective_rank(np.zeros((5, 3))) == 0


def test_tensors_of_half_precision():
    features = tf.cast(sphere(20, 4), "bfloat16")
    assert cosine_similarity(features, features) == pytest.approx(1)
    assert retrieval_rate(features, features) == 1
    assert 1 < effective_rank(features) <= 4
