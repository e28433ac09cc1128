"""Crops of photographs of any size, which are not shrunk."""

import copy

import numpy as np
import tensorflow as tf

from keras_csc.data import images
from keras_csc.data.sources import DataError
from keras_csc.data.sources import Source
from keras_csc.data.sources import examples


class CropSource(Source):
    """Crops of one size from photographs of any size, pixel by pixel.

    An epoch has as many crops of a photograph as fit beside each other, so that
    it has about the pixels of the photographs. The crops are that grid, in the
    middle of the photograph. Random crops are as many, from anywhere. A
    photograph that is smaller than a crop is enlarged, or padded with black if
    both sides lack at most four pixels, as `images.fit` does.

    Args:
        photographs: source of images that keep their size.
        sizes: list of `(height, width)`, of every photograph.
        image_shape, random_crop: of the crops, as in `Source`.
    """

    held = None  # pixels, starts, sizes and labels of photographs in memory

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
        image, label = self._read(number)
        small = tf.reduce_any(tf.shape(image)[:2] < self.image_shape[:2])
        crop = tf.cond(
            small,
            lambda: images.fit(image, self.image_shape, crop_seed),
            lambda: self._cut(image, number, key, crop_seed),
        )
        return tf.ensure_shape(crop, self.image_shape), label

    def _read(self, number):
        """A photograph in its own size, and its label."""
        if self.held is None:
            return self.photographs.read(number)
        pixels, *rows = self.held
        start, size, label = (tf.gather(each, number) for each in rows)
        shape = tf.concat([size, self.image_shape[-1:]], 0)
        pixels = tf.slice(pixels, [start], [tf.reduce_prod(shape)])
        return tf.reshape(pixels, shape), label

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
        """The same source with photographs in memory, if they fit there."""
        counts = np.prod(self.sizes, 1) * self.image_shape[-1]
        if counts.sum() > limit_bytes:
            return self
        pixels = np.empty(counts.sum(), np.uint8)
        ends, labels = np.cumsum(counts), []
        loaded = examples(self.photographs, batch_size=1)
        for end, count, (image, label) in zip(ends, counts, loaded):
            if image.size != count:
                where = self.photographs.locate(len(labels))
                raise DataError(f"{where} has another size than it had.")
            pixels[end - count : end] = image.ravel()
            labels.append(label[0])
        held = copy.copy(self)
        with tf.device("CPU:0"):
            held.held = tuple(
                map(tf.constant, (pixels, ends - counts, self.sizes, labels))
            )
        return held
