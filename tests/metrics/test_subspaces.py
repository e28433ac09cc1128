import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from scipy import linalg
from scipy.stats import ortho_group
from sklearn.datasets import load_digits
from sklearn.decomposition import TruncatedSVD

from keras_csc.metrics import class_effective_ranks
from keras_csc.metrics import subspace_angles


def test_angles_agree_with_the_singular_values_of_the_definition():
    features, labels = load_digits(return_X_y=True)
    angles = subspace_angles(features[:600], labels[:600], 7)
    bases = [
        TruncatedSVD(7, algorithm="arpack")
        .fit(features[:600][labels[:600] == label])
        .components_
        for label in range(10)
    ]
    assert angles.shape == (10, 10, 7)
    for i in range(10):
        for j in range(10):
            cosines = linalg.svdvals(bases[i] @ bases[j].T)
            expected = np.arccos(np.clip(cosines, 0, 1))[::-1]
            np.testing.assert_allclose(angles[i, j], expected, atol=1e-6)


@given(angle=st.floats(0, np.pi / 2), seed=st.integers(0, 99))
@settings(max_examples=15)
def test_planes_at_a_known_angle(angle, seed):
    """Two planes in four dimensions that share one direction."""
    rng = np.random.default_rng(seed)
    rotation = ortho_group.rvs(4, random_state=seed)
    turned = [0, np.cos(angle), np.sin(angle), 0]
    planes = np.array([[[1, 0, 0, 0], [0, 1, 0, 0]], [[1, 0, 0, 0], turned]])
    features = np.concatenate(
        [rng.normal(size=(20, 2)) @ plane @ rotation for plane in planes]
    )
    labels = np.repeat([5, 3], 20)
    angles = subspace_angles(features, labels, 2)
    np.testing.assert_allclose(angles[0, 1], [angle, 0], atol=1e-7)
    np.testing.assert_array_equal(angles, angles.transpose(1, 0, 2))


def test_orthogonal_classes_are_at_right_angles():
    basis = ortho_group.rvs(6, random_state=0).reshape(3, 2, 6)
    weights = np.random.default_rng(0).normal(size=(3, 10, 2))
    features = np.concatenate(weights @ basis)
    labels = np.repeat(range(3), 10)
    angles = subspace_angles(features, labels, 2)
    expected = np.pi / 2 * (1 - np.eye(3))[:, :, None] * np.ones(2)
    np.testing.assert_allclose(angles, expected, atol=1e-7)
    assert np.all(class_effective_ranks(features, labels) < 2 + 1e-9)


def test_effective_ranks_of_classes_in_the_order_of_their_labels():
    basis = ortho_group.rvs(8, random_state=1)
    features = np.concatenate([basis[:3], 2 * basis[3:5], np.ones((4, 8))])
    labels = np.array([9, 9, 9, 4, 4, 7, 7, -1, -1])
    np.testing.assert_allclose(
        class_effective_ranks(features, labels), [2, 1, 3], rtol=1e-6
    )


def test_bad_classes():
    features = ortho_group.rvs(6, random_state=0)
    labels = np.array([0, 0, 0, 0, 1, 1])
    with pytest.raises(ValueError, match="components=3, and class 1 of rank 2"):
        subspace_angles(features, labels, 3)
    for components in (0, 7):
        with pytest.raises(ValueError, match=f"components={components}"):
            subspace_angles(features, labels, components)
    with pytest.raises(ValueError, match="`labels` must label"):
        class_effective_ranks(features, np.full(6, -1))
