"""The density of features."""

import keras
import numpy as np
import tensorflow as tf

from keras_csc.generation import gaussians
from keras_csc.metrics.features import labelled
from keras_csc.validation import LARGEST_INTEGER
from keras_csc.validation import check_integer
from keras_csc.validation import check_number
from keras_csc.validation import shown

EXAMPLES_OF_DIRECTION = 4
MOST_SAMPLES = 100_000  # of a call


@keras.saving.register_keras_serializable(package="keras_csc")
class FeatureDensity:
    """Mixture of Gaussians of features, some for every class.

    `p(z) = Σ_j Σ_k w_jk N(z; μ_jk, W_jk W_jkᵀ + σ_jk² I)`

    with `Σ_j Σ_k w_jk = 1`. The prior of the class `j` is `Σ_k w_jk`. The
    columns of `W_jk` span a subspace of a class, around its mean, and `σ_jk` is
    the noise around the subspace: probabilistic principal components. Samples
    are drawn from `p` and projected on the sphere, `z / ‖z‖`. `log_prob` is
    `log p` in nats, in all of the space and before the projection: `p` is no
    density on the sphere.

    `FeatureDensity.fit` makes a density of features. `sample` and `log_prob`
    are TensorFlow Probability's. The arrays are variables that are not trained.
    An autoencoder that has a density saves them with its weights. Before a fit,
    all Gaussians are the standard one, `N(0, I)`, and equally likely.

    Args:
        feature_dim: int, at least 2, `d`.
        classes: int; 1 without labels.
        components: int, Gaussians of every class.
        rank: int in `[1, d - 1]`, columns of `W`.

    Attributes:
        labels: ints `(classes,)`, rising, of the examples of every class.
        variables: dict of `weights` `(classes, components)`, `means` `(classes,
            components, d)`, `factors` `(classes, components, d, rank)` and
            `variances` `(classes, components)`, the `σ²`.

    References:
        Tipping & Bishop, Mixtures of probabilistic principal component
        analysers, Neural Computation 1999; Ghosh et al., From variational to
        deterministic autoencoders, ICLR 2020, on sampling features of a
        trained autoencoder from a density that is fitted afterwards.

    Example:

    >>> density = FeatureDensity.fit(features, labels)
    >>> drawn = density.sample(4, label=1, seed=0)  # (4, d), rows of norm 1
    >>> scores = density.log_prob(drawn)  # (4,)
    """

    def __init__(self, feature_dim, classes=1, components=1, rank=1):
        check_integer(2, feature_dim=feature_dim)
        check_integer(1, classes=classes, components=components)
        check_integer(1, feature_dim - 1, "`feature_dim` - 1", rank=rank)
        several = classes, components
        shapes = {
            "weights": several,
            "means": (*several, feature_dim),
            "factors": (*several, feature_dim, rank),
            "variances": several,
        }
        self.feature_dim = feature_dim
        self.classes = classes
        self.components = components
        self.rank = rank
        self.labels = np.arange(classes)
        first = {"weights": 1 / (classes * components), "variances": 1.0}
        self.variables = {
            name: keras.Variable(
                keras.initializers.Constant(first.get(name, 0.0)),
                shape=shape,
                dtype="float32",
                trainable=False,
                name=name,
            )
            for name, shape in shapes.items()
        }

    @classmethod
    def fit(cls, features, labels=None, components=1, rank=None, seed=0):
        """The density of some features.

        With one component `w`, `μ`, `W` and `σ²` have the greatest likelihood
        for their rank. With several, scikit-learn fits a mixture without bounds
        on rank, and the density has `probabilistic_pca` of its covariances.

        A Gaussian has at most one direction for every four of its examples.
        More are likelier for these examples, and less likely for others.

        Args:
            features: array `(n, d)`, rows of norm 1.
            labels: ints `(n,)`, -1 for unlabelled rows, which are left out. If
                all are unlabelled, and for `None`, all rows have the label 0.
            components: int, Gaussians of every class. A class has at most one
                for every two of its examples.
            rank: int in `[1, d - 1]`, most directions of a Gaussian; `None`
                for `d - 1`.
            seed: int, of the mixtures.

        Raises:
            ValueError: for features and labels of other shapes or values.
        """
        if labels is None or np.all(np.equal(labels, -1)):
            labels = np.zeros(len(features), int)
        features, labels = labelled(features, labels)
        feature_dim = features.shape[1]
        rank = feature_dim - 1 if rank is None else rank
        check_integer(1, components=components)
        check_integer(1, feature_dim - 1, "`feature_dim` - 1", rank=rank)
        check_integer(0, seed=seed)
        check_integer(0, labels=labels.max())
        fitted, occurring = {}, np.unique(labels)
        for place, label in enumerate(occurring):
            rows = features[labels == label]
            fewer = min(components, max(len(rows) // 2, 1))
            moments = zip(*gaussians.mixture_moments(rows, fewer, seed))
            for number, (weight, mean, covariance) in enumerate(moments):
                examples = weight * len(rows)
                most = min(rank, int(examples / EXAMPLES_OF_DIRECTION))
                factor, noise = gaussians.probabilistic_pca(covariance, most)
                share = examples / len(features)
                fitted[place, number] = share, mean, factor, noise
        ranks = (factor.shape[1] for _, _, factor, _ in fitted.values())
        rank = max(1, *ranks)
        density = cls(feature_dim, len(occurring), components, rank)
        density.labels = occurring
        variables = density.variables.values()
        arrays = [np.zeros(variable.shape) for variable in variables]
        weights, means, factors, variances = arrays
        variances[:] = 1.0
        for place, (share, mean, factor, noise) in fitted.items():
            weights[place], means[place], variances[place] = share, mean, noise
            factors[place][:, : factor.shape[1]] = factor
        for variable, array in zip(variables, arrays):
            variable.assign(array)
        return density

    @property
    def center(self):
        """The mean of the density, a float32 tensor `(d,)`.

        It is the mean of the features that the density was fitted to.
        """
        weights, means = self.variables["weights"], self.variables["means"]
        return tf.einsum("jk,jkd->d", weights.value, means.value)

    def sample(self, count, label=None, seed=None, temperature=1.0):
        """Features of norm 1, drawn at random.

        Args:
            count: int, how many, at most 100,000.
            label: class of all samples, or ints `(count,)`; -1 or `None` for
                classes as frequent as among the features of the fit.
            seed: int in `[0, 2³¹)`. A seed gives the same features each time,
                and the same first ones for another `count`. `None` draws a seed
                from Keras's.
            temperature: float in [0, 1e9], what the standard deviations are
                multiplied by. At 0 samples are the Gaussians' means.

        Returns:
            Tensor `(count, d)`.

        Raises:
            ValueError: for a class that the density lacks, and for other
                arguments out of range.
        """
        check_integer(1, MOST_SAMPLES, "as all are in memory", count=count)
        check_number("[0, 1e9]", temperature=temperature)
        if seed is None:
            seed = int(keras.random.randint((), 0, LARGEST_INTEGER))
        check_integer(0, seed=seed)
        labels = self._known(-1 if label is None else label, count)
        return self.draw(
            tf.constant(labels, tf.int32),
            tf.constant([seed], tf.int32),
            tf.constant(temperature, tf.float32),
        )

    def _known(self, label, count):
        labels = np.asarray(label)
        known = np.append(self.labels, -1)
        fits = labels.shape in ((), (count,)) and labels.dtype.kind in "iu"
        if not (fits and np.all(np.isin(labels, known))):
            raise ValueError(
                "`label` must be a class of the density, "
                f"{shown(known[:-1].tolist())}, or -1 for any; one, or {count} "
                "of them. "
                f"Received: {shown(label)}"
            )
        return np.broadcast_to(labels, (count,))

    def draw(self, labels, seeds, temperature=1.0):
        """`sample` in a graph: features for labels and seeds.

        Args:
            labels: int32 tensor `(n,)` of classes that there are, -1 for any.
            seeds: int32 tensor. `(1,)` is for all rows: row `i` depends on the
                seed, its label and `i`. With `(n,)`, a row depends only on its
                seed and its label, and is the first row of that seed.
            temperature: float or scalar tensor.
        """
        arrays = map(tf.convert_to_tensor, self.variables.values())
        smaller = labels[:, None] > tf.constant(self.labels, tf.int32)
        places = tf.reduce_sum(tf.cast(smaller, tf.int32), 1)
        labels = tf.where(labels < 0, labels, places)
        return gaussians.draw(labels, seeds, temperature, *arrays)

    def log_prob(self, features):
        """`log p(z)` in nats, computed in float64; low for strange features.

        It takes the memory of `n × classes × components × d` numbers.

        Args:
            features: tensor `(n, d)`.

        Returns:
            Float32 tensor `(n,)`.

        Raises:
            ValueError: for features of another shape.
        """
        features = tf.convert_to_tensor(features)
        if features.shape.rank != 2 or features.shape[1] != self.feature_dim:
            raise ValueError(
                f"`features` must have the shape (n, {self.feature_dim}). "
                f"Received: {tuple(features.shape)}"
            )
        density = self.distribution().log_prob(tf.cast(features, tf.float64))
        return tf.cast(density, tf.float32)

    def distribution(self):
        """`p` as a distribution of TensorFlow Probability, in float64."""
        arrays = (
            tf.cast(variable.value, tf.float64)
            for variable in self.variables.values()
        )
        return gaussians.mixture(
            *(tf.reshape(array, (-1, *array.shape[2:])) for array in arrays)
        )

    def save_own_variables(self, store):
        for name, variable in self.variables.items():
            store[name] = keras.ops.convert_to_numpy(variable)
        store["labels"] = self.labels

    def load_own_variables(self, store):
        """Takes the arrays of a store, once they are fit for a density.

        Raises:
            ValueError: for arrays that are not finite, or that no density
                has.
        """
        arrays = {name: np.asarray(store[name]) for name in self.variables}
        good = all(np.all(np.isfinite(array)) for array in arrays.values())
        good = good and np.all(arrays["variances"] > 0)
        weights = arrays["weights"]
        if not good or np.min(weights) < 0 or not np.sum(weights) > 0:
            raise ValueError(
                "The arrays of the density must be finite, its weights at "
                "least 0, and its variances above 0."
            )
        for name, array in arrays.items():
            self.variables[name].assign(array)
        if "labels" in store.keys():  # Older files have none.
            self.labels = np.asarray(store["labels"])

    def get_config(self):
        return {
            "feature_dim": self.feature_dim,
            "classes": self.classes,
            "components": self.components,
            "rank": self.rank,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config)
