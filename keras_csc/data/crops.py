"""Crops of photographs of any size, which are not shrunk."""

import numpy as np
import tensorflow as tf

from keras_csc.data import images
from keras_csc.data.sources import READ_ERRORS
from keras_csc.data.sources import IndexedSource
from keras_csc.data.sources import damage
from keras_csc.terminal import Progress


class CropSource(IndexedSource):
    """Crops of one size of photographs of many, pixel by pixel.

    As many crops of a photograph are in an epoch as fit beside each other: an
    epoch has about the pixels of the photographs. They are that grid, in the
    middle of the photograph, or, at random, as many from anywhere. A
    photograph that is smaller than a crop is enlarged, or padded with black if
    both sides lack at most four pixels, as `images.fit` does.

    Args:
        photographs: source of images that keep their size.
        sizes: list of `(height, width)`, of every photograph.
        image_shape: (height, width, channels) of the crops.
        random_crop: whether crops are at random places, others in every epoch.
    """

    def __init__(self, photographs, sizes, image_shape, random_crop):
        sizes = np.array(sizes, np.int64).reshape(-1, 2)
        grids = sizes // image_shape[:2]
        grids[np.any(grids == 0, axis=1)] = 1
        ends = np.cumsum(np.prod(grids, 1))
        super().__init__(
            photographs.name,
            photographs.split,
            int(ends[-1]),
            image_shape,
            photographs.class_names,
            random_crop,
        )
        self.photographs = photographs
        self.files = photographs.files
        self.file_bytes = photographs.file_bytes
        self.sizes = sizes
        with tf.device("CPU:0"):
            self.grids = tf.constant(grids)
            self.ends = tf.constant(ends)

    def read(self, key, crop_seed=None):
        number = self._photograph(key)
        image, label = self.photographs.read(number)
        small = tf.reduce_any(tf.shape(image)[:2] < self.image_shape[:2])
        crop = tf.cond(
            small,
            lambda: images.fit(image, self.image_shape, crop_seed),
            lambda: self._cut(image, number, key, crop_seed),
        )
        return tf.ensure_shape(crop, self.image_shape), label

    def _photograph(self, key):
        key = tf.cast(key, tf.int64)
        return tf.searchsorted(self.ends, key[None], side="right")[0]

    def _cut(self, image, number, key, crop_seed):
        crop = tf.constant(self.image_shape[:2])
        if crop_seed is not None:
            draws = tf.random.stateless_uniform([2], crop_seed)
            return images.crop(image, crop, draws)
        grid = tf.cast(tf.gather(self.grids, number), tf.int32)
        left = tf.gather(self.ends, number) - 1 - tf.cast(key, tf.int64)
        left = tf.cast(left, tf.int32)
        place = grid - 1 - tf.stack([left // grid[1], left % grid[1]])
        offset = (tf.shape(image)[:2] - grid * crop) // 2 + place * crop
        return images.part(image, offset, crop)

    def locate(self, index):
        number = int(self._photograph(tf.constant(index)))
        return self.photographs.locate(number)

    def cached(self, limit_bytes):
        """The same with its photographs in memory, if they fit there."""
        channels = self.image_shape[-1]
        if int(np.prod(self.sizes, 1).sum()) * channels > limit_bytes:
            return self
        held = _Held(self.photographs, self.sizes, channels)
        return CropSource(held, self.sizes, self.image_shape, self.random_crop)


class _Held(IndexedSource):
    """Images of several sizes in memory, one after another."""

    def __init__(self, source, sizes, channels):
        super().__init__(
            source.name,
            source.split,
            len(sizes),
            source.image_shape,
            source.class_names,
        )
        self.locate = source.locate
        progress = Progress(f"{source.name} {source.split}", len(sizes))
        counts = np.prod(sizes, 1) * channels
        pixels = np.empty(counts.sum(), np.uint8)
        ends, labels = np.cumsum(counts), []
        examples = source.epoch(None).prefetch(tf.data.AUTOTUNE)
        try:
            for end, count, (image, label) in zip(ends, counts, examples):
                pixels[end - count : end] = np.ravel(image)
                labels.append(label)
                progress.update(len(labels))
        except (*READ_ERRORS, ValueError) as error:
            where = source.locate(len(labels))
            raise damage(source, where, error) from error
        with tf.device("CPU:0"):
            self.pixels = tf.constant(pixels)
            self.starts = tf.constant(ends - counts)
            self.shapes = tf.constant(
                np.pad(sizes, ((0, 0), (0, 1)), constant_values=channels)
            )
            self.labels = tf.stack(labels)

    def read(self, key, crop_seed=None):
        shape = tf.gather(self.shapes, key)
        start = tf.gather(self.starts, key)
        pixels = tf.slice(self.pixels, [start], [tf.reduce_prod(shape)])
        return tf.reshape(pixels, shape), tf.gather(self.labels, key)
