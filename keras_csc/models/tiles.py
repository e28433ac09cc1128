"""Images of any size: continued, cropped, and a tile at a time."""

import itertools

import numpy as np
import tensorflow as tf
from keras import ops

from keras_csc.models import inputs
from keras_csc.models.inputs import LEAST_SIZE
from keras_csc.validation import check_integer
from keras_csc.validation import shown


class Tiles:
    """Encodes and decodes large images in tiles, with the memory of one.

    A place of the features depends on the pixels of its receptive field, and a
    pixel depends on the places around it. So tiles are computed with a border
    that is as wide, and the border is left out. The result is the same as for
    the whole image, but for rounding.

    Args:
        autoencoder: `ClosedLoopAutoencoder` with `features="map"`.
        size: int, height and width of a tile without its border, in pixels;
            it is rounded up to whole places.

    Raises:
        ValueError: for a model of vectors, or a size below 1. Its methods
            refuse what the autoencoder's methods refuse.

    Example:

    >>> model = keras_csc.models.ClosedLoopAutoencoder.from_preset(
    ...     "photographs", load_weights=False)
    >>> tiles = Tiles(model, size=64)
    >>> tiles.reconstruct(np.zeros((1, 100, 150, 3), "float32")).shape
    (1, 100, 150, 3)
    """

    def __init__(self, autoencoder, size=512):
        check_integer(1, size=size)
        if autoencoder.encoder.features != "map":
            raise ValueError(
                "Tiles are for a model of maps: features='map'. Received one "
                f"with features={autoencoder.encoder.features!r}"
            )
        self.autoencoder = autoencoder
        self.stride = autoencoder.encoder.stride
        self.size = size
        self._encode = _compiled(
            autoencoder.encode, autoencoder.encoder.accepted_shape
        )
        self._decode = _compiled(
            autoencoder.decode, autoencoder.decoder.features_shape
        )

    def encode(self, images):
        """Features of images; see `ClosedLoopAutoencoder.encode`.

        Args:
            images: array `(batch, height, width, channels)`, floats in [-1, 1]
                or uint8 in 0..255.

        Returns:
            float32 array `(batch, map_height, map_width, feature_dim)`.
        """
        images = np.asarray(images)
        shape = self.autoencoder.encoder.accepted_shape
        inputs.check_shape("images", images.shape, shape)
        # A corner of them: all as floats would be four times the memory.
        inputs.as_images(images[:, :LEAST_SIZE, :LEAST_SIZE], shape)
        inputs.in_range(inputs.extremes(images), inputs.LARGEST_PIXEL)
        height, width = (-(-n // self.stride) for n in images.shape[1:3])
        dim = self.autoencoder.encoder.feature_dim
        features = np.empty((len(images), height, width, dim), "float32")
        border = encoder_border(self.autoencoder.encoder)
        for number, part, wider, within in self._tiles(features, border):
            tile = images[_index(number, wider, self.stride)]
            tile = tf.cast(inputs.as_images(tile, shape), tf.float32)
            inner = self._encode(tile)[_index(0, within)]
            features[_index(number, part)] = inner
        return features

    def decode(self, features, image_size=None):
        """Images of features; see `ClosedLoopAutoencoder.decode`.

        Args:
            features: array `(batch, map_height, map_width, feature_dim)`.
            image_size: `(height, width)`, by default all pixels of all places.

        Returns:
            float32 array `(batch, height, width, channels)`.
        """
        decoder = self.autoencoder.decoder
        inputs.finite(inputs.as_features(features, decoder.features_shape))
        features = np.asarray(features, "float32")
        stride = self.stride
        height, width = (stride * n for n in features.shape[1:3])
        channels = decoder.image_shape[-1]
        images = np.empty((len(features), height, width, channels), "float32")
        border = decoder_border(self.autoencoder.encoder)
        for number, part, wider, within in self._tiles(features, border):
            tile = self._decode(features[_index(number, wider)])
            inner = tile[_index(0, within, stride)]
            images[_index(number, part, stride)] = inner
        if image_size is None:
            return images
        return cropped_to(images, image_size, self.stride)

    def reconstruct(self, images):
        """Images `g(f(x))`, float32 array of their shape."""
        images = np.asarray(images)
        return self.decode(self.encode(images), images.shape[1:3])

    def _tiles(self, features, border):
        """The tiles of features, in places.

        Yields:
            `(number, part, wider, within)`: the number of the image, and
            `(start, end)` of both axes for the tile, for the tile with a border
            of so many pixels, and for the tile within the wider one.
        """
        size = -(-self.size // self.stride)
        border = -(-max(border, LEAST_SIZE) // self.stride)

        def spans(length):
            for start in range(0, length, size):
                end = min(start + size, length)
                low, high = max(start - border, 0), min(end + border, length)
                yield (start, end), (low, high), (start - low, end - low)

        count, *sides, _ = features.shape
        tiles = itertools.product(range(count), *map(spans, sides))
        for number, rows, columns in tiles:
            yield number, *zip(rows, columns)


def _index(number, part, stride=1):
    """Index of a part of an image, in an array of so many pixels a place."""
    sides = [slice(stride * start, stride * end) for start, end in part]
    return (slice(number, number + 1), *sides)


def encoder_border(encoder):
    """Pixels that features depend on, in each direction from their place.

    `T` solver steps apply `Aᵀ` `T` times and `A` `T - 1` times. So they reach
    `2 T - 1` times as far as one operator. This holds without restarts.
    """
    return (2 * encoder.iterations - 1) * decoder_border(encoder)


def decoder_border(encoder):
    """Pixels that a place reaches, in each direction, by one pass.

    Through `Aᵀ` a code depends on its stage's input at most
    `r = k - 1 - ⌊(k - s)/2⌋` away. Through `A` the input depends on codes as
    far away. A lapped encoder mixes pixels that are less than a block apart.
    """
    border, step = 0, 1
    for size, stride in zip(encoder.kernel_sizes, encoder.stage_strides):
        border += step * (size - 1 - max(size - stride, 0) // 2)
        step *= stride
    return border + encoder.block


def _compiled(function, shape):
    """A function of a float32 batch of 1, traced once for all sizes."""
    spec = tf.TensorSpec((1, *shape), tf.float32)
    return tf.function(function, input_signature=[spec], autograph=False)


def reflected(images, stride):
    """Images continued by reflection to sides divisible by a stride.

    Pixels are added below and to the right: `x[h + i] = x[h - 1 - i]`. Sides
    of less than half a stride are continued again and again.
    """
    sizes = images.shape[1:3]
    if None not in sizes and not any(n % stride for n in sizes):
        return images
    for axis in (1, 2):
        size = tf.shape(images)[axis]
        # In ONNX -(-size // stride) would be rounded down.
        padded = (size + stride - 1) // stride * stride
        places = tf.range(padded) % (2 * size)
        places = tf.minimum(places, 2 * size - 1 - places)
        images = tf.gather(images, places, axis=axis)
    return images


def cropped(images, others):
    """The upper left part of images that is as large as others."""
    if images.shape[1:3] == others.shape[1:3] and None not in images.shape[1:3]:
        return images
    size = ops.shape(others)
    return images[:, : size[1], : size[2]]


def cropped_to(images, image_size, stride):
    """Crops decoded images; a `ValueError` for a size with other places."""
    if len(image_size) != 2:
        raise ValueError(
            "`image_size` must be (height, width). "
            f"Received: {shown(image_size)}"
        )
    whole, size = tf.shape(images)[1:3], tf.stack(image_size)
    message = (
        "`image_size` must be the size of an image with these features: sides "
        f"at most {stride - 1} below the (height, width)"
    )
    images = inputs.asserted(
        images,
        tf.reduce_all((0 <= whole - size) & (whole - size < stride)),
        [message, whole, "Received:", size],
    )
    return images[:, : image_size[0], : image_size[1]]
