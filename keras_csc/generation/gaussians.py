"""Gaussians whose covariance is of low rank but for noise."""

import numpy as np
import tensorflow as tf

from keras_csc.ops.tensors import to_sphere

# Features of norm 1 are not known better than this in float32.
LEAST_VARIANCE = 1e-8


def probabilistic_pca(covariance, rank):
    """The likeliest `W` and `σ²` for examples of some covariance.

    `Σ ≈ W Wᵀ + σ² I`,  `W = U (Λ - σ² I)^½`,  `σ² = mean_{i>rank} λ_i`. The
    `λ_i` are the eigenvalues of `Σ`, the largest first. `U` and `Λ` are the
    first `rank` eigenvectors and eigenvalues. No other `W` and `σ²` make
    examples with mean `μ` and covariance `Σ = mean_i (z_i - μ)(z_i - μ)ᵀ`
    likelier.
    `rank = d - 1` is `Σ` itself.

    Args:
        covariance: array `(d, d)`.
        rank: int in `[0, d - 1]`.

    Returns:
        `(W, σ²)`: an array `(d, rank)`, and a float of at least 1e-8.

    Reference:
        Tipping & Bishop, Probabilistic principal component analysis, JRSS B
        1999, equations 7 and 8.
    """
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = values[::-1], vectors[:, ::-1]
    noise = max(float(np.mean(values[rank:])), LEAST_VARIANCE)
    scales = np.sqrt(np.maximum(values[:rank] - noise, 0))
    return vectors[:, :rank] * scales, noise


def mixture_moments(rows, components, seed):
    """Weights, means and covariances of a mixture of Gaussians.

    `seed` is for scikit-learn's first guess, if there are several components.
    """
    if components == 1:
        return [1.0], [rows.mean(0)], [np.cov(rows.T, bias=True)]
    from sklearn.mixture import GaussianMixture

    mixture = GaussianMixture(
        components, reg_covar=LEAST_VARIANCE, random_state=seed
    ).fit(rows)
    return mixture.weights_, mixture.means_, mixture.covariances_


# Traced once for all densities of a shape.
@tf.function(autograph=False, reduce_retracing=True)
def draw(labels, seeds, temperature, weights, means, factors, variances):
    """Features of norm 1 of a mixture; see `FeatureDensity.draw`."""
    from tensorflow_probability import distributions

    classes = distributions.Categorical(probs=tf.reduce_sum(weights, 1))
    one_for_all = tf.cast(tf.equal(tf.size(seeds), 1), tf.int32)
    numbers = one_for_all * tf.range(tf.size(labels))
    seeds = seeds + tf.zeros_like(labels)

    def row(label, number, seed):
        of_class, of_feature = tf.unstack(
            tf.random.split(tf.stack([seed, number]), 2)
        )
        label = tf.where(label < 0, classes.sample(seed=of_class), label)
        return mixture(
            weights[label],
            means[label],
            temperature * factors[label],
            temperature**2 * variances[label],
        ).sample(seed=of_feature)

    features = tf.map_fn(
        lambda each: row(*each),
        (labels, numbers, seeds),
        fn_output_signature=tf.TensorSpec([means.shape[-1]], tf.float32),
    )
    return to_sphere(features)


def mixture(weights, means, factors, variances):
    """The mixture as a distribution of TensorFlow Probability."""
    from tensorflow_probability import distributions

    gaussians = distributions.MultivariateNormalDiagPlusLowRankCovariance(
        means,
        variances[:, None] * tf.ones_like(means),
        factors,
    )
    return distributions.MixtureSameFamily(
        distributions.Categorical(probs=weights), gaussians
    )
