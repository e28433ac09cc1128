import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from scipy.stats import ortho_group
from sklearn.metrics.pairwise import paired_cosine_distances

from keras_csc.metrics import cosine_similarity
from keras_csc.metrics import effective_rank
from keras_csc.metrics import pixel_retrieval_rate
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


def test_cosine_of_same_opposite_and_zero_rows():
    features = sphere(5, 4)
    assert cosine_similarity(features, 3 * features) == pytest.approx(1)
    assert cosine_similarity(features, -features) == pytest.approx(-1)
    assert cosine_similarity(features, 0 * features) == 0


@pytest.mark.parametrize("scale", [0.0, 0.3, 1.0])
def test_retrieval_agrees_with_brute_force(scale):
    features = sphere(40, 5)
    reconstructed = perturbed(features, scale)
    value = retrieval_rate(features, reconstructed)
    assert value == brute_force_retrieval(features, reconstructed)


def test_retrieval_on_the_sphere_is_the_largest_cosine():
    features = sphere(50, 4)
    reconstructed = perturbed(features, 0.4)
    reconstructed /= np.linalg.norm(reconstructed, axis=1, keepdims=True)
    nearest = np.argmax(reconstructed @ features.T, axis=1)
    expected = np.mean(nearest == np.arange(50))
    assert 0 < expected < 1
    assert retrieval_rate(features, reconstructed) == expected


@given(seed=st.integers(0, 2**31))
@settings(max_examples=15, deadline=None)
def test_retrieval_is_invariant_to_rotation(seed):
    features = sphere(30, 5, seed)
    reconstructed = perturbed(features, 0.4, seed + 1)
    rotation = ortho_group.rvs(5, random_state=seed)
    assert retrieval_rate(features, reconstructed) == retrieval_rate(
        features @ rotation, reconstructed @ rotation
    )


def test_ties_are_misses():
    features = sphere(6, 4)
    features[3] = features[2]
    assert retrieval_rate(features, features) == pytest.approx(4 / 6)
    collapsed = np.ones((6, 4), "float32") / 2
    assert retrieval_rate(collapsed, collapsed) == 0


def test_ties_are_misses_far_from_the_origin():
    """Where distances from a matrix product are rounding errors."""
    features = 1e4 + sphere(6, 300)
    features[3] = features[2]
    assert retrieval_rate(features, features) == pytest.approx(4 / 6)
    collapsed = np.repeat(features[:1], 6, axis=0)
    assert retrieval_rate(features, collapsed) == pytest.approx(1 / 6)
    assert retrieval_rate(collapsed, features) == 0
    assert retrieval_rate(features[:1], features[1:2]) == 1


@pytest.mark.parametrize("scale", [0.0, 0.8, 3.0])
def test_pixel_retrieval_agrees_with_brute_force(scale):
    images = np.random.default_rng(2).uniform(-1, 1, (40, 4, 5, 3))
    images[7] = images[8]
    reconstructions = perturbed(images, scale).astype("float32")
    value = pixel_retrieval_rate(images.astype("float32"), reconstructions)
    expected = brute_force_retrieval(
        images.astype("float32").reshape(40, -1).astype("float64"),
        reconstructions.reshape(40, -1),
    )
    assert value == expected
    assert value < 1


def test_bad_images_of_pixel_retrieval():
    images = np.zeros((5, 4, 4, 3), "float32")
    with pytest.raises(ValueError, match=r"same shape.*\(5, 4, 4, 3\)"):
        pixel_retrieval_rate(images, images[1:])
    with pytest.raises(ValueError, match="`images` must have shape"):
        pixel_retrieval_rate(images[0], images[0])
    with pytest.raises(ValueError, match="`reconstructions` must be finite"):
        pixel_retrieval_rate(images, images + np.nan)


def test_retrieval_of_swapped_images_is_zero():
    features = sphere(10, 8)
    assert retrieval_rate(features, np.roll(features, 1, axis=0)) == 0


@given(k=st.integers(1, 8), scale=st.floats(1e-3, 1e3))
@settings(max_examples=20, deadline=None)
def test_effective_rank_of_orthonormal_rows(k, scale):
    rows = scale * ortho_group.rvs(8, random_state=k)[:k]
    assert effective_rank(rows) == pytest.approx(k, rel=1e-9)


def test_effective_rank_agrees_with_the_definition():
    features = sphere(30, 6) * np.arange(1, 7)
    p = np.sqrt(np.linalg.eigvalsh(features.T @ features))
    p = p / np.sum(p)
    expected = np.exp(-np.sum(p * np.log(p)))
    assert effective_rank(features) == pytest.approx(expected, rel=1e-9)


def test_effective_rank_of_repeated_rows_is_one():
    assert effective_rank(np.ones((20, 3))) == pytest.approx(1, abs=1e-9)


def test_tensors_of_half_precision():
    features = tf.cast(sphere(20, 4), "bfloat16")
    assert cosine_similarity(features, features) == pytest.approx(1)
    assert retrieval_rate(features, features) == 1
    assert 1 < effective_rank(features) <= 4


@pytest.mark.parametrize("function", [cosine_similarity, retrieval_rate])
def test_bad_pairs(function):
    features = sphere(5, 3)
    with pytest.raises(ValueError, match=r"same shape.*\(5, 3\).*\(4, 3\)"):
        function(features, features[:4])
    with pytest.raises(ValueError, match="reconstructed_features.*finite"):
        function(features, features * np.nan)
    with pytest.raises(ValueError, match="non-empty matrix"):
        function(features[0], features[0])


def test_bad_arguments():
    with pytest.raises(ValueError, match="non-zero"):
        effective_rank(np.zeros((5, 3)))
    with pytest.raises(ValueError, match=r"non-empty matrix.*\(0, 3\)"):
        effective_rank(np.zeros((0, 3)))
