"""What a model does with images, as far as a page shows it."""

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from keras_csc import metrics
from keras_csc.evaluation.passes import by_batches
from keras_csc.metrics.features import rows
from keras_csc.ops.sizes import padding_before
from keras_csc.visualization.grids import fitted

STRONGEST = 6
ARRAYS = 5  # of every stage, which a pass keeps


@dataclasses.dataclass(frozen=True, eq=False)
class AtomUse:
    """How the images use the atoms of one stage.

    There are `n` images and `a` atoms. `z̄_j` is the mean of an atom's codes
    over all places of all images. It is subtracted, because a background that
    is the same everywhere is no merit of an atom.

    Fields:
        density: float64 `(a,)`, share of the places at which it is active.
        energies: float64 `(n, a)`, the mean of `‖d_j‖² (z_j - z̄_j)²` over the
            places of an image.
        peaks: float32 `(n, a)`, the largest `|z_j|` of an image.
        corners: ints `(n, a, 2)`, row and column of the upper left pixel of
            what the largest code stands for. It may lie outside of the image.
        size: int, pixels a side of what a code stands for.
        class_shares: float64 `(classes, a)`, share of an atom's energy that
            images of a class would have if all classes were as frequent. `None`
            without two classes.
    """

    density: np.ndarray
    energies: np.ndarray
    peaks: np.ndarray
    corners: np.ndarray
    size: int
    class_shares: np.ndarray | None

    @functools.cached_property
    def shares(self):
        """Shares of all atoms' energy, `(a,)`; all 0 if no code varies."""
        energies = self.energies.sum(0)
        return energies / (energies.sum() or 1)

    @functools.cached_property
    def correlations(self):
        """Correlations of two atoms' energies over the images, `(a, a)`.

        They are 0 for an atom with itself, and for one that does not vary.
        """
        centred = self.energies - self.energies.mean(0)
        norms = np.linalg.norm(centred, axis=0)
        scaled = centred / np.where(norms > 0, norms, 1)
        found = scaled.T @ scaled
        np.fill_diagonal(found, 0)
        return found

    def ranked(self, atom):
        """Images in which an atom is active, ints, the largest code first."""
        peaks = self.peaks[:, atom]
        order = np.argsort(-peaks, kind="stable")
        return order[: np.count_nonzero(peaks)]


@dataclasses.dataclass(frozen=True, eq=False)
class Survey:
    """Images, and what a model makes of them.

    Fields:
        images: uint8 array `(n, height, width, channels)`.
        labels: ints `(n,)`, -1 for unlabelled.
        class_names: list of str, by label.
        features: array `(n, d)`, or maps `(n, height, width, d)`.
        reconstructions: float32 array like the images, in [-1, 1].
        psnr: float32 array `(n,)`, in dB.
        stages: list of `AtomUse`, from the image upwards.
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: list
    features: np.ndarray
    reconstructions: np.ndarray
    psnr: np.ndarray
    stages: list

    def name(self, label):
        """Name of a class, by its label; empty for -1."""
        if label < 0:
            return ""
        known = label < len(self.class_names)
        return self.class_names[label] if known else str(label)

    @property
    def classes(self):
        """Labels that there are, rising."""
        return np.unique(self.labels[self.labels >= 0])

    @property
    def vectors(self):
        """A row for every image; see `metrics.features.rows`."""
        return rows(self.features)


def survey(model, images, labels=None, class_names=None):
    """Passes images through a model, and keeps what a page shows.

    Args:
        model: `ClosedLoopAutoencoder`.
        images: uint8 array `(n, height, width, channels)`.
        labels: ints `(n,)`, -1 for unlabelled, or `None`.
        class_names: list of str, by label; by default the labels.

    Returns:
        `Survey`.
    """
    images = np.asarray(images)
    if images.dtype != "uint8" or images.ndim != 4:
        raise ValueError(
            "`images` must be uint8 of shape (n, height, width, channels). "
            f"Received: dtype={images.dtype}, shape={images.shape}"
        )
    labels = np.full(len(images), -1) if labels is None else np.asarray(labels)
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
        raise ValueError(
            "`labels` must be an integer for every image. Received: "
            f"dtype={labels.dtype}, shape={labels.shape}"
        )
    labels = labels.astype("int64")
    features, made, psnr, *uses = by_batches(
        lambda batch: _pass(model, batch), images
    )
    stages = [
        _use(uses[ARRAYS * stage :][:ARRAYS], labels, place)
        for stage, place in enumerate(_places(model.encoder, images.shape[1:3]))
    ]
    return Survey(
        images, labels, class_names or [], features, made, psnr, stages
    )


def _pass(model, images):
    """Features, reconstructions, PSNR, and arrays of every stage."""
    output = model.encoder.activations(images)
    made = model.decode(output.features, image_size=images.shape[1:3])
    found = [
        output.features,
        made,
        metrics.peak_signal_to_noise_ratio(images, made),
    ]
    for codes in output.codes:
        places = codes.shape[1] * codes.shape[2]
        flat = tf.reshape(codes, (-1, places, codes.shape[3]))
        flat = tf.cast(flat, tf.float32)
        sizes = tf.abs(flat)
        found += [
            tf.reduce_mean(tf.cast(flat != 0, tf.float32), 1),
            tf.reduce_max(sizes, 1),
            tf.argmax(sizes, 1),
            tf.math.reduce_variance(flat, 1),
            tf.reduce_mean(flat, 1),
        ]
    return found


def _places(encoder, image_size):
    """Where in an image the codes of every stage are.

    Yields:
        `(layer, size, step, before, columns)`. Code `i` stands for the `size`
        pixels from `step · i - before` on. `before` is a pair of ints, for both
        axes. `columns` is the number of columns of codes.
    """
    stride = encoder.stride
    sides = [-(-side // stride) * stride for side in image_size]
    size, step, before = 1 + encoder.block, 1, (encoder.block // 2,) * 2
    for layer, strides in zip(encoder.coding_layers, encoder.stage_strides):
        kernel = layer.kernel.shape[0]
        before = tuple(
            offset + step * padding_before(side, kernel, strides, layer.padding)
            for offset, side in zip(before, sides)
        )
        size += (kernel - 1) * step
        step *= strides
        sides = [-(-side // strides) for side in sides]
        yield layer, size, step, before, sides[1]


def _use(arrays, labels, place):
    density, peaks, best, variances, means = arrays
    layer, size, step, before, columns = place
    kernel = np.asarray(layer.kernel, "float64")
    norms = np.sum(np.square(kernel), axis=(0, 1, 2))
    # The mean of (z - z̄)² in an image, by its own variance and mean.
    squares = variances + np.square(means - means.mean(0, dtype="float64"))
    energies = norms * squares
    return AtomUse(
        density.mean(0, dtype="float64"),
        energies,
        peaks,
        np.stack(np.divmod(best, columns), -1) * step - before,
        size,
        _class_shares(energies, labels),
    )


def _class_shares(energies, labels):
    classes = np.unique(labels[labels >= 0])
    if len(classes) < 2:
        return None
    sets = [energies[labels == label] for label in classes]
    means = np.stack([each.mean(0, dtype="float64") for each in sets])
    total = means.sum(0)
    return means / np.where(total > 0, total, 1)


def patches(found, stage, atom, side=24):
    """The strongest patches of an atom.

    Args:
        found: `Survey`.
        stage: int, from 0.
        atom: int.
        side: int, pixels that a patch has at most: larger ones are averaged.

    Returns:
        A uint8 array `(n, size, size, channels + 1)`; the last channel is the
        opacity, 0 outside of the image.
    """
    use = found.stages[stage]
    made = [
        _patch(found.images[number], use.corners[number, atom], use.size)
        for number in use.ranked(atom)[:STRONGEST]
    ]
    if not made:
        shape = use.size, use.size, found.images.shape[-1] + 1
        return np.zeros((0, *shape), "uint8")
    return fitted(np.stack(made), min(side, use.size))


def _patch(image, corner, size):
    """A square of an image, with an opacity of 0 outside of it."""
    image = np.pad(image, ((0, 0), (0, 0), (0, 1)), constant_values=255)
    padded = np.pad(image, ((size, size), (size, size), (0, 0)), "edge")
    padded[:size, :, -1] = padded[-size:, :, -1] = 0
    padded[:, :size, -1] = padded[:, -size:, -1] = 0
    top, left = corner + size
    return padded[top : top + size, left : left + size]
