"""Features against loops of NumPy, the classifier against scikit-learn."""

import keras
import numpy as np
import pytest
import sklearn.linear_model

from keras_csc.features import SparseFeatures
from keras_csc.features import ridge
from keras_csc.features import ridge_classifier
from keras_csc.features import sparse_features
from keras_csc.presets import load_preset


def random_images(count=30, channels=3):
    rng = np.random.default_rng(0)
    smooth = rng.uniform(-1, 1, (count, 5, 4, channels))
    images = smooth.repeat(2, 1).repeat(2, 2)
    return (0.7 * images + 0.3 * rng.uniform(-1, 1, images.shape)).astype(
        "float32"
    )


def fitted(**options):
    given = {"filters": 7, "kernel_size": 3, "dimensions": 5, **options}
    features = SparseFeatures((10, 8, 3), **given)
    features.fit(random_images())
    return features


@pytest.fixture(scope="module")
def features():
    return fitted()


def test_the_features_are_as_defined(features):
    """Whitening, atoms, threshold and cells, patch by patch in float64."""
    images, size = random_images(), 3
    rng = np.random.default_rng(0)
    patches = sparse_features.random_patches(images, size, rng)
    assert len(patches) == 30 * sparse_features.PATCHES

    def contrast(patch):
        variance = patch.var() + 10 / 127.5**2
        return (patch - patch.mean()) / np.sqrt(variance)

    patches = np.stack([contrast(p) for p in patches.astype("float64")])
    mean, covariance = patches.mean(0), np.cov(patches.T)
    whitening = np.linalg.inv(
        np.real(_root(covariance + 0.1 * np.eye(len(mean))))
    )
    atoms = (patches[rng.choice(len(patches), 7, replace=False)] - mean) @ (
        whitening
    )
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    image = images[4].astype("float64")
    expected = np.zeros((2, 2, 2, 7))
    for turned in (image, image[:, ::-1]):
        codes = np.zeros((8, 6, 7))
        for y, x in np.ndindex(8, 6):
            patch = contrast(turned[y : y + size, x : x + size].ravel())
            codes[y, x] = atoms @ whitening @ (patch - mean)
        for row, column in np.ndindex(2, 2):
            cell = codes[4 * row :, 3 * column :][:4, :3].reshape(-1, 7)
            expected[0, row, column] += np.maximum(cell - 0.25, 0).mean(0) / 2
            expected[1, row, column] += np.maximum(-cell - 0.25, 0).mean(0) / 2
    found = features(images[4:5])
    np.testing.assert_allclose(found[0], expected.ravel(), atol=2e-5)


def _root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(values) @ vectors.T


def test_mirrored_images_have_the_same_features(features):
    images = random_images(3)
    np.testing.assert_allclose(
        features(images), features(images[:, :, ::-1]), atol=1e-6
    )
    apart = fitted(mirror=False)
    assert not np.allclose(apart(images), apart(images[:, :, ::-1]), atol=1e-3)


def test_embeddings(features):
    """Components of the covariance, each over `eigenvalue^(1/4)`."""
    images = random_images()
    found = features.predict(images, verbose=0).astype("float64")
    centered = (found - found.mean(0)) / (found.std(0) + 1e-6)
    values, vectors = np.linalg.eigh(centered.T @ centered / len(found))
    parts = centered @ vectors[:, -5:] / values[-5:] ** 0.25
    parts /= np.linalg.norm(parts, axis=1, keepdims=True)
    made = np.asarray(features.embed(images))
    np.testing.assert_allclose(made @ made.T, parts @ parts.T, atol=1e-3)


@pytest.mark.parametrize("mirror", [True, False])
def test_evidence_adds_up(mirror):
    features, images = fitted(mirror=mirror), random_images(2)
    weights = np.random.default_rng(1).normal(size=7 * 8)
    evidence = features.evidence(images, weights)
    assert evidence.shape == (2, 8, 6)
    expected = np.asarray(features(images)) @ weights
    np.testing.assert_allclose(evidence.sum((1, 2)), expected, atol=1e-5)
    # A place counts for itself: other pixels do not change it.
    changed = images.copy()
    changed[:, 5:] = 0
    other = features.evidence(changed, weights)
    np.testing.assert_allclose(evidence[:, :3], other[:, :3], atol=1e-6)
    assert not np.allclose(evidence[:, 4], other[:, 4])


def test_it_is_saved(features, tmp_path):
    features.save(tmp_path / "features.keras")
    features.save_to_preset(tmp_path / "preset")
    images = random_images(2)
    for loaded in (
        keras.saving.load_model(tmp_path / "features.keras"),
        load_preset(tmp_path / "preset"),
    ):
        embedded = loaded.embed(images)
        np.testing.assert_array_equal(embedded, features.embed(images))


@pytest.mark.parametrize("count", [40, 150])
def test_the_classifier_beside_scikit_learn(count):
    """Fewer and more images than features; of each fold and of all."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(count) % 3)
    values = rng.gamma(1.0, size=(count, 60)).astype("float32")
    values[np.arange(count), labels] += 1.5
    found = ridge_classifier(values, labels, folds=4)
    standard = (values - values.mean(0)) / (values.std(0) + 1e-6)
    targets = np.eye(3)[labels] - np.eye(3)[labels].mean(0)

    def scores(rows):
        peer = sklearn.linear_model.Ridge(found.penalty, fit_intercept=False)
        return peer.fit(standard[rows], targets[rows]).predict(standard)

    def logits(layer):
        kernel, bias = layer.get_weights()
        return values @ kernel + bias - values.mean(0) @ kernel - bias

    ratio = logits(found.layer) / (s := scores(np.full(count, True)))
    temperature = 1 / np.median(ratio)
    for fold, layer in enumerate(found.layers):
        rows = found.fold_of != fold
        assert 1 < count / np.sum(~rows) < 5
        expected = scores(rows) / temperature
        np.testing.assert_allclose(logits(layer), expected, atol=2e-3)
        np.testing.assert_allclose(
            found.probabilities[~rows], layer(values[~rows]), atol=1e-4
        )
    np.testing.assert_allclose(logits(found.layer), s / temperature, atol=2e-3)
    assert np.mean(found.probabilities.argmax(1) == labels) > 0.6
    # The likeliest temperature: not with a little more, nor a little less.
    own = np.log(found.probabilities)
    surprise = [
        -np.mean(
            ridge.log_softmax(own * factor, axis=1)[np.arange(count), labels]
        )
        for factor in (1, 0.95, 1.05)
    ]
    assert surprise[0] == min(surprise)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"image_shape": (10, 8)}, "`image_shape`"),
        ({"filters": 0}, "`filters` must be"),
        ({"kernel_size": 9}, "`kernel_size` must be at most 8"),
        ({"grid": 7}, "`grid` must be at most 6"),
        ({"threshold": -1.0}, "`threshold` must be"),
        ({"mirror": 1}, "`mirror` must be"),
    ],
)
def test_mistakes_are_named(options, message):
    given = {"image_shape": (10, 8, 3), "kernel_size": 3, **options}
    with pytest.raises(ValueError, match=message):
        SparseFeatures(**given)
    with pytest.raises(ValueError, match="at least two images of each class"):
        ridge_classifier(np.zeros((3, 2)), [0, 0, 1])


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_features_of_a_classifier_are_finite(wrong):
    values = np.random.default_rng(0).normal(size=(6, 2))
    values[3, 1] = wrong
    with pytest.raises(ValueError, match="`features` must be finite"):
        ridge_classifier(values, np.arange(6) % 2)


def test_images_that_do_not_differ_are_refused():
    grey = np.linspace(-1, 1, 12).reshape(12, 1, 1, 1)
    for images in (0 * random_images(12), np.ones((12, 10, 8, 3)) * grey):
        features = SparseFeatures((10, 8, 3), 7, 3, dimensions=5)
        with pytest.raises(ValueError, match="do not differ"):
            features.fit(images.astype("float32"))
    same = random_images(1).repeat(12, 0)
    with pytest.raises(ValueError, match="do not differ"):
        features.fit(same)
