"""Features of images: sparse codes of their patches, averaged over cells."""

import keras
import numpy as np
from keras import ops
from sklearn.utils.extmath import randomized_svd

from keras_csc.presets import PresetModel
from keras_csc.validation import check_bool
from keras_csc.validation import check_integer
from keras_csc.validation import check_integers
from keras_csc.validation import check_number

# Of patches, for images in [-1, 1]: 10 for pixels of 0..255.
LEAST_VARIANCE = 10 / 127.5**2
# Of components of patches, and of pooled codes.
LEAST_EIGENVALUE, LEAST_DEVIATION = 0.1, 1e-6
LEAST_VALUE = 0.01  # of the first singular value
# Images that `fit` looks at, and patches of each.
FITTED, PATCHES = 5000, 50
# Codes of more images at once do not stay in the processor's caches.
BATCH = 8
# Components are divided by this power of the eigenvalues; 1/2 whitens them.
POWER = 0.25


@keras.saving.register_keras_serializable(package="keras_csc")
class SparseFeatures(PresetModel):
    """Features of images by one layer of sparse codes.

    Every patch `p` of an image, one at each pixel, is freed of its brightness
    and contrast, and whitened. Its codes are the first step of ISTA from 0:

        p̃ = W ((p - mean p) / sqrt(var p + c) - m),   z = S(Dᵀ p̃; λ),

    where `W = (C + ε I)^(-1/2)`, `m` and `C` are the mean and the covariance of
    such patches, and `S` is the soft threshold. The atoms, columns of `D`, are
    whitened patches of images, drawn at random, of norm 1. The features are the
    means of `max(z, 0)` and of `max(-z, 0)` over each of `grid²` cells of the
    image. With `mirror` they are averaged with the features of the mirrored
    image, so that both images have the same features.

    `fit` needs no labels and no gradients. It computes `W`, `m`, the atoms,
    and the components of `embed`.

    Args:
        image_shape: (height, width, channels) of the images.
        filters: int, number of atoms.
        kernel_size: int, side of a patch.
        grid: int, cells on a side.
        threshold: float `λ ≥ 0`.
        mirror: bool.
        dimensions: int, of `embed`.
        **kwargs: of `keras.Model`. All is computed in float32.

    Input shape: `(batch, height, width, channels)`, floats in [-1, 1].
    Output shape: `(batch, 2 grid² filters)`, at least 0.

    Raises:
        ValueError: for an argument that is not as above.

    References:
        Coates & Ng, The importance of encoding versus training with sparse
        coding and vector quantization, ICML 2011, for random patches as atoms
        and this encoder; Coates, Lee & Ng, An analysis of single-layer networks
        in unsupervised feature learning, AISTATS 2011, for patches and cells.

    Example:

    >>> features = keras_csc.features.SparseFeatures((32, 32, 3), filters=16)
    >>> images = np.random.uniform(-1, 1, (40, 32, 32, 3))
    >>> features.fit(images)
    >>> features.predict(images, verbose=0).shape
    (40, 128)
    """

    def __init__(
        self,
        image_shape,
        filters=1600,
        kernel_size=6,
        grid=2,
        threshold=0.25,
        mirror=True,
        dimensions=256,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        check_integers(1, length=3, image_shape=image_shape)
        most = min(image_shape[:2])
        check_integer(2, most, kernel_size=kernel_size)
        check_integer(1, most - kernel_size + 1, grid=grid)
        check_integer(1, filters=filters, dimensions=dimensions)
        check_number("[0, inf)", threshold=threshold)
        check_bool(mirror=mirror)
        self.image_shape, self.filters = tuple(image_shape), filters
        self.kernel_size, self.grid = kernel_size, grid
        self.threshold, self.mirror = threshold, mirror
        self.dimensions = dimensions
        features = 2 * grid**2 * filters

        def weight(name, *shape):
            return self.add_weight(
                name=name, shape=shape, initializer="zeros", trainable=False
            )

        self.kernel = weight(
            "kernel", kernel_size, kernel_size, image_shape[-1], filters
        )
        self.bias = weight("bias", filters)
        self.center = weight("center", features)
        self.components = weight("components", features, dimensions)
        self.built = True

    def fit(self, images, seed=0):
        """Finds the atoms and the components in images.

        Args:
            images: array of images `(count, height, width, channels)`, floats
                in [-1, 1], at least two. The first 5,000 are looked at: they
                should be in random order.
            seed: int.

        Raises:
            ValueError: for images that do not differ.
        """
        self.fit_atoms(images, seed)
        images = images[:FITTED]
        self.fit_components(
            self.predict(images, batch_size=BATCH, verbose=0), seed
        )

    def fit_atoms(self, images, seed=0):
        """Finds the whitening and the atoms; arguments are as in `fit`."""
        images = np.asarray(images[:FITTED], "float32")
        rng = np.random.default_rng(seed)
        patches = contrasts(random_patches(images, self.kernel_size, rng))
        mean = patches.mean(0)
        whitening = _whitening(patches)
        chosen = rng.choice(
            len(patches), self.filters, replace=self.filters > len(patches)
        )
        atoms = (patches[chosen] - mean) @ whitening
        atoms /= np.maximum(np.linalg.norm(atoms, axis=1, keepdims=True), 1e-6)
        filters = atoms @ whitening
        self.bias.assign(-filters @ mean)
        # For a patch less its mean this makes no difference.
        filters -= filters.mean(1, keepdims=True)
        self.kernel.assign(filters.T.reshape(self.kernel.shape))

    def fit_components(self, features, seed=0):
        """Finds the components of `embed` in features that `call` returned."""
        center = features.mean(0)
        deviations = features.std(0) + LEAST_DEVIATION
        if np.max(deviations) < 2 * LEAST_DEVIATION:
            raise ValueError(
                "The images do not differ, except perhaps in brightness, and "
                "features can't be found in them. Give images that differ."
            )
        count = min(self.dimensions, *features.shape)
        _, values, vectors = randomized_svd(
            (features - center) / deviations, count, random_state=seed
        )
        # For few or equal images the last ones are 0, but for rounding.
        values = np.maximum(values, LEAST_VALUE * values[0])
        scales = (values**2 / len(features)) ** POWER
        components = np.zeros(self.components.shape, "float32")
        components[:, :count] = (vectors / scales[:, None] / deviations).T
        self.center.assign(center)
        self.components.assign(components)

    def call(self, images):
        """The features of images."""
        found = self._pooled(images)
        if self.mirror:
            found = (found + self._pooled(ops.flip(images, 2))) / 2
        return found

    def embed(self, images):
        """Vectors of norm 1 whose cosines say how alike images are.

        They are principal components of the features, each divided by the
        square root of its deviation, so that strong ones weigh less.

        Args:
            images: as in `call`.

        Returns:
            float32 tensor `(batch, dimensions)`.
        """
        return self.vectors(self(images))

    def vectors(self, features):
        """`embed`, of features that `call` returned."""
        found = ops.matmul(features - self.center, self.components)
        return ops.normalize(found, axis=-1)

    def codes(self, images):
        """`Dᵀ p̃` of every patch, before the threshold.

        Returns:
            Tensor `(batch, height - kernel_size + 1, width - kernel_size + 1,
            filters)`.
        """
        images = ops.cast(images, "float32")
        size, channels = self.kernel_size, self.image_shape[-1]
        box = ops.ones((size, size, channels, 1), images.dtype)
        box = box / (size**2 * channels)
        means = ops.conv(images, box, padding="valid")
        squares = ops.conv(ops.square(images), box, padding="valid")
        variances = ops.relu(squares - ops.square(means)) + LEAST_VARIANCE
        found = ops.conv(images, self.kernel, padding="valid")
        return found * ops.rsqrt(variances) + self.bias

    def evidence(self, images, weights):
        """What every place adds to a weighted sum of the features.

        Args:
            images: as in `call`.
            weights: array `(features,)`, such as a classifier's weights of a
                class, less its weights of another.

        Returns:
            float32 array `(batch, rows, columns)`, for every patch: the sum
            over all places is `call(images) @ weights`, exactly.
        """
        weights = np.reshape(weights, (2, self.grid**2, self.filters))
        found = self._evidence(images, weights)
        if self.mirror:
            mirrored = self._evidence(ops.flip(images, 2), weights)
            found = (found + mirrored[:, :, ::-1]) / 2
        return found

    def _evidence(self, images, weights):
        codes = self.codes(images)
        found = np.zeros(codes.shape[:3], "float32")
        for sign, of_sign in zip((1, -1), weights):
            parts = ops.relu(sign * codes - self.threshold)
            for (rows, columns), of_cell in zip(self._cells(codes), of_sign):
                part = ops.matmul(parts[:, rows, columns], of_cell[:, None])
                part = ops.convert_to_numpy(part)[..., 0]
                found[:, rows, columns] += part / part[0].size
        return found

    def _pooled(self, images):
        codes = self.codes(images)
        return ops.concatenate(
            [
                ops.mean(parts[:, rows, columns], (1, 2))
                for parts in (
                    ops.relu(codes - self.threshold),
                    ops.relu(-codes - self.threshold),
                )
                for rows, columns in self._cells(codes)
            ],
            -1,
        )

    def _cells(self, codes):
        """Slices of rows and columns, without a gap and without an overlap."""
        edges = [
            [round(n * size / self.grid) for n in range(self.grid + 1)]
            for size in codes.shape[1:3]
        ]
        rows, columns = (
            [slice(*pair) for pair in zip(each, each[1:])] for each in edges
        )
        return [(row, column) for row in rows for column in columns]

    def get_config(self):
        return {
            **super().get_config(),
            "image_shape": self.image_shape,
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "grid": self.grid,
            "threshold": self.threshold,
            "mirror": self.mirror,
            "dimensions": self.dimensions,
        }


def random_patches(images, size, rng):
    """Patches of images, `PATCHES` of each, at random places.

    Returns:
        float32 array `(patches, size² channels)`.
    """
    count, height, width, _ = images.shape
    which = np.repeat(np.arange(count), PATCHES)
    tops = rng.integers(height - size + 1, size=len(which))
    lefts = rng.integers(width - size + 1, size=len(which))
    windows = np.lib.stride_tricks.sliding_window_view(
        images, (size, size), (1, 2)
    )
    patches = windows[which, tops, lefts]  # (patches, channels, size, size)
    return np.moveaxis(patches, 1, -1).reshape(len(which), -1)


def contrasts(patches):
    """Patches without brightness and contrast."""
    centered = patches - patches.mean(1, keepdims=True)
    return centered / np.sqrt(centered.var(1, keepdims=True) + LEAST_VARIANCE)


def _whitening(patches):
    """`(C + ε I)^(-1/2)`, symmetric."""
    values, vectors = np.linalg.eigh(np.cov(patches.T))
    scales = (values + LEAST_EIGENVALUE) ** -0.5
    return ((vectors * scales) @ vectors.T).astype("float32")
