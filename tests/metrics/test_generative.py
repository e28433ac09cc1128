import numpy as np
import pytest
from scipy import linalg
from scipy.spatial.distance import cdist

from keras_csc.metrics import frechet_distance
from keras_csc.metrics import nearest_images
from keras_csc.metrics import precision_recall


def normal(n, d, seed=0, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1, (n, d))


@pytest.mark.parametrize("n", [20, 300])
def test_frechet_distance_agrees_with_the_matrix_square_root(n):
    """`n = 20` rows of 30 columns have singular covariances."""
    features, others = normal(n, 30), 1.5 * normal(n, 30, 1, shift=0.2)
    product = np.cov(features.T) @ np.cov(others.T)
    expected = (
        np.sum((features.mean(0) - others.mean(0)) ** 2)
        + np.trace(np.cov(features.T) + np.cov(others.T))
        - 2 * np.sum(np.sqrt(linalg.eigvals(product).astype(complex)).real)
    )
    value = frechet_distance(features, others)
    assert value == pytest.approx(expected, rel=1e-5)


def brute_force_precision(real, made, k):
    distances = cdist(real, real)
    radii = np.sort(distances, axis=1)[:, k]
    return np.mean(
        [any(np.linalg.norm(real - y, axis=1) <= radii) for y in made]
    )


def test_precision_and_recall_agree_with_their_definition():
    neighbours = 3
    real, made = normal(40, 3), 0.7 * normal(50, 3, 1, shift=1.5)
    value = precision_recall(real, made, neighbours)
    expected = (
        brute_force_precision(real, made, neighbours),
        brute_force_precision(made, real, neighbours),
    )
    assert value == expected
    assert 0 < expected[1] < expected[0] < 1
    # Far from the origin distances from a product would lose digits.
    moved = precision_recall(1e3 + real, 1e3 + made, neighbours)
    assert moved == expected
    copies = np.repeat(normal(40, 16), 5, axis=0)
    assert precision_recall(copies, copies) == (1, 1)


def test_nearest_images_are_scipys():
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (7, 3, 4, 2)).astype("float32")
    others = rng.uniform(-1, 1, (9, 3, 4, 2)).astype("float32")
    others[5] = images[2]
    distances, indices = nearest_images(images, others)
    expected = cdist(images.reshape(7, -1), others.reshape(9, -1)) / 24**0.5
    np.testing.assert_array_equal(indices, expected.argmin(1))
    np.testing.assert_allclose(distances, expected.min(1), rtol=1e-6)
    assert distances[2] == 0 and indices[2] == 5
    black, white = np.zeros((1, 2, 2, 1), "uint8"), np.full((1, 2, 2, 1), 255)
    assert nearest_images(black, white.astype("uint8"))[0] == 255


@pytest.mark.parametrize("distance", [frechet_distance, precision_recall])
def test_what_distances_refuse(distance):
    features = normal(9, 4)
    with pytest.raises(ValueError, match="4.*2|2.*4"):
        distance(features, features[:, :2])
    with pytest.raises(ValueError, match="NaN"):
        distance(features, features * np.nan)
