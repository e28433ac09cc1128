"""The density of features, against SciPy and scikit-learn in float64."""

import copy

import keras
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import chi2
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from keras_csc.generation import FeatureDensity
from keras_csc.generation import probabilistic_pca

CLASSES = (0, 2, 3)
DIMENSION = 6


def features_and_labels(count=240, seed=0):
    """Classes in caps of the sphere, of unequal sizes; there is no class 1."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(CLASSES, count, p=[0.5, 0.3, 0.2])
    centers = rng.normal(size=(4, DIMENSION))
    spread = rng.normal(size=(4, DIMENSION, DIMENSION)) / DIMENSION
    noise = rng.normal(size=(count, DIMENSION))
    features = centers[labels] + np.einsum("nd,nde->ne", noise, spread[labels])
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return features, labels


def arrays_of(density):
    return {
        name: variable.numpy().astype("float64")
        for name, variable in density.variables.items()
    }


def covariance_of(arrays, place):
    factor = arrays["factors"][place]
    noise = arrays["variances"][place] * np.eye(len(factor))
    return factor @ factor.T + noise


def reference_log_prob(density, features):
    arrays = arrays_of(density)
    terms = [
        np.log(arrays["weights"][place])
        + multivariate_normal(
            arrays["means"][place], covariance_of(arrays, place)
        ).logpdf(features)
        for place in zip(*np.nonzero(arrays["weights"]))
    ]
    return logsumexp(terms, axis=0)


@pytest.mark.parametrize("rank", [0, 3])
def test_closed_form_is_scikit_learns(rank):
    """`PCA` scales its covariance by n - 1, not n."""
    rows, _ = features_and_labels()
    count = len(rows)
    pca = PCA(rank, svd_solver="full").fit(rows)
    factor, noise = probabilistic_pca(np.cov(rows.T, bias=True), rank)
    assert factor.shape == (DIMENSION, rank)
    expected = pca.get_covariance() * (count - 1) / count
    np.testing.assert_allclose(
        factor @ factor.T + noise * np.eye(DIMENSION), expected, atol=1e-12
    )


@pytest.mark.parametrize("arguments", [{"rank": 2}, {"components": 2}], ids=str)
def test_log_prob_is_scipys(arguments):
    features, labels = features_and_labels()
    density = FeatureDensity.fit(features, labels, **arguments)
    others = features_and_labels(seed=1)[0]
    expected = reference_log_prob(density, others)
    assert np.std(expected) > 1
    np.testing.assert_allclose(
        density.log_prob(others), expected, rtol=1e-5, atol=1e-5
    )


def test_one_full_gaussian_of_a_class_is_its_moments():
    """Rows without a label are left out."""
    features, labels = features_and_labels()
    more = np.concatenate([features, features_and_labels(9, 1)[0]])
    density = FeatureDensity.fit(more, np.append(labels, np.full(9, -1)))
    arrays = arrays_of(density)
    assert density.get_config() == {
        "feature_dim": DIMENSION,
        "classes": 3,
        "components": 1,
        "rank": 5,
    }
    for place, label in enumerate(CLASSES):
        rows = features[labels == label]
        np.testing.assert_allclose(
            arrays["means"][place, 0], rows.mean(0), atol=1e-6
        )
        np.testing.assert_allclose(
            covariance_of(arrays, (place, 0)),
            np.cov(rows.T, bias=True),
            atol=1e-6,
        )
    shares = np.bincount(labels)[list(CLASSES)] / len(labels)
    priors = np.sum(density.variables["weights"], 1)
    np.testing.assert_allclose(priors, shares, atol=1e-7)
    np.testing.assert_allclose(density.center, features.mean(0), atol=1e-6)


def test_a_mixture_without_labels_is_scikit_learns():
    features, _ = features_and_labels()
    density = FeatureDensity.fit(features, components=3)
    mixture = GaussianMixture(3, reg_covar=1e-8, random_state=0).fit(features)
    np.testing.assert_allclose(density.center, features.mean(0), atol=1e-6)
    received = density.log_prob(features)
    np.testing.assert_allclose(
        received, mixture.score_samples(features), rtol=1e-3, atol=1e-3
    )
    unlabelled = FeatureDensity.fit(features, np.full(240, -1), components=3)
    np.testing.assert_array_equal(unlabelled.log_prob(features), received)


def test_moments_of_samples():
    """Before the projection they are a Gaussian: its direction remains.

    With one Gaussian far from the origin the projection changes little that
    the same projection of NumPy's samples would not show: both are compared.
    """
    features, labels = features_and_labels()
    density = FeatureDensity.fit(features, labels, rank=3)
    count, temperature = 4000, 0.5
    made = density.sample(count, 2, 7, temperature).numpy()
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), 1, atol=1e-6)
    arrays = arrays_of(density)
    place = 1, 0  # of the class 2
    mean, covariance = arrays["means"][place], covariance_of(arrays, place)
    expected = np.random.default_rng(0).multivariate_normal(
        mean, temperature**2 * covariance, 50 * count
    )
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    # Hotelling's T²; on the sphere there is a direction without variance.
    difference = made.mean(0) - expected.mean(0)
    inverse = np.linalg.pinv(np.cov(expected.T), 1e-6)
    statistic = count * difference @ inverse @ difference
    assert statistic < chi2.ppf(0.999, DIMENSION)
    np.testing.assert_allclose(
        np.cov(made.T), np.cov(expected.T), atol=0.1 * np.cov(made.T).max()
    )


def test_classes_are_as_frequent_as_in_the_fit():
    density = FeatureDensity.fit(*features_and_labels())
    made = density.sample(3000, seed=1, temperature=0.0).numpy()
    means = arrays_of(density)["means"][:, 0]
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
    cosines = made @ means.T
    priors = np.sum(density.variables["weights"], 1)
    np.testing.assert_allclose(cosines.max(1), 1, atol=1e-5)
    counts = np.bincount(np.argmax(cosines, axis=1), minlength=3)
    deviations = np.sqrt(3000 * priors * (1 - priors))
    assert np.all(np.abs(counts - 3000 * priors) <= 4 * deviations)


def test_seeds_and_rows():
    features, labels = features_and_labels()
    density = FeatureDensity.fit(features, labels, components=2)
    made = density.sample(6, [0, 2, 3, 0, 2, 3], seed=5).numpy()
    assert len(np.unique(made, axis=0)) == 6
    again = density.sample(6, [0, 2, 3, 0, 2, 3], seed=5)
    np.testing.assert_array_equal(made, again)
    np.testing.assert_array_equal(
        made[:3], density.sample(3, [0, 2, 3], seed=5)
    )
    assert not np.any(made == density.sample(6, [0, 2, 3] * 2, seed=6))
    keras.utils.set_random_seed(3)
    first, other = density.sample(2).numpy(), density.sample(2).numpy()
    assert not np.any(first == other)
    keras.utils.set_random_seed(3)
    np.testing.assert_array_equal(first, density.sample(2))


def test_labels_are_names_of_classes():
    """A million between two of them cost nothing."""
    features, labels = features_and_labels()
    density = FeatureDensity.fit(features, labels)
    renamed = np.choose(labels, [7, 0, 10**6, 2**31 - 1])
    large = serialised(FeatureDensity.fit(features, renamed))
    assert large.get_config() == density.get_config()
    np.testing.assert_array_equal(large.labels, [7, 10**6, 2**31 - 1])
    for label, name in zip([0, 2, 3, -1], [*large.labels, -1]):
        np.testing.assert_array_equal(
            large.sample(3, name, seed=0), density.sample(3, label, seed=0)
        )


@pytest.mark.parametrize("count", [1, 9])
def test_few_examples_get_few_directions(count):
    """Those that are not seen have the noise of all others."""
    features, _ = features_and_labels(count)
    density = FeatureDensity.fit(features, components=2)
    factors = arrays_of(density)["factors"][0]
    ranks = np.linalg.matrix_rank(factors, tol=1e-6)
    examples = density.variables["weights"].numpy()[0] * count
    assert np.all(ranks <= np.floor(examples / 4 + 1e-3))
    assert np.all(np.isfinite(density.log_prob(features)))
    assert np.all(np.isfinite(density.sample(3, seed=0)))


def serialised(density):
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(density)
    )
    store = {}
    density.save_own_variables(store)
    again.load_own_variables(store)
    return again


@pytest.mark.parametrize("copied", [copy.deepcopy, serialised])
def test_a_copy_is_a_density_of_its_own(copied):
    features, labels = features_and_labels()
    density = FeatureDensity.fit(features, labels, rank=2)
    expected = density.sample(3, seed=1)
    again = copied(density)
    np.testing.assert_array_equal(again.sample(3, seed=1), expected)
    np.testing.assert_array_equal(
        again.log_prob(features), density.log_prob(features)
    )
    again.variables["means"].assign(-again.variables["means"])
    assert not np.allclose(again.sample(3, seed=1), expected)
    np.testing.assert_array_equal(density.sample(3, seed=1), expected)


def loaded(density, **changed):
    """With arrays whose first numbers are others."""
    before, store = density.sample(2, seed=0), {}
    density.save_own_variables(store)
    for name, value in changed.items():
        store[name] = np.array(store[name])
        store[name][0, 0] = value
    try:
        density.load_own_variables(store)
    finally:
        np.testing.assert_array_equal(density.sample(2, seed=0), before)


def fitted(density, **arguments):
    features, labels = features_and_labels()
    given = {"features": features, "labels": labels, **arguments}
    FeatureDensity.fit(**given)


SAMPLE, LOG_PROB = FeatureDensity.sample, FeatureDensity.log_prob


@pytest.mark.parametrize(
    "call, arguments, message",
    [
        (SAMPLE, {"count": 10**9}, "count"),
        (SAMPLE, {"label": 1}, r"\[0, 2, 3\]"),
        (SAMPLE, {"label": [0, 2, 3]}, "2 of them"),
        (SAMPLE, {"temperature": -1}, "temperature"),
        (LOG_PROB, {"features": np.zeros((2, 5))}, r"\(n, 6\)"),
        (loaded, {"variances": 0.0}, "above 0"),
        (loaded, {"means": np.nan}, "finite"),
        (fitted, {"features": np.full((240, 6), np.nan)}, "finite"),
        (fitted, {"labels": np.zeros(3, int)}, "shapes"),
        (fitted, {"labels": np.zeros(240)}, "integers"),
        (fitted, {"labels": np.arange(240) + 2**40}, "labels"),
        (fitted, {"rank": 6}, "rank"),
    ],
)
def test_what_a_density_refuses(call, arguments, message):
    density = FeatureDensity.fit(*features_and_labels())
    if call is SAMPLE:
        arguments = {"count": 2, **arguments}
    with pytest.raises(ValueError, match=message):
        call(density, **arguments)
