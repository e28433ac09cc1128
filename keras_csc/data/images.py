import tensorflow as tf

from keras_csc.data.decoding import decode
from keras_csc.data.sources import DataError

MAX_PADDING = 4
MAX_COVER = 8
GREY = (0.299, 0.587, 0.114)
ORIENTATION = 0x0112  # of EXIF
# From an EXIF orientation: quarter turns to the left, after a mirror.
TURNS = {2: (True, 0), 3: (False, 2), 4: (True, 2), 5: (True, 1)}
TURNS |= {6: (False, 3), 7: (True, 3), 8: (False, 1)}


def normalize(images):
    """Maps uint8 images in [0, 255] to float32 in [-1, 1]."""
    return tf.cast(images, tf.float32) / 127.5 - 1.0


def check_channels(name, stored, wanted):
    """Raises `DataError` unless images can take the model's channels."""
    if stored == wanted or (stored, wanted) == (1, 3):
        return
    advice = f"use a model with {stored} channels"
    if stored not in (1, 3):
        advice = "choose images of 1 or 3 channels"
    raise DataError(
        f"The images of {name} have {stored} channels, but image_shape asks "
        f"for {wanted}: {advice}."
    )


def can_crop(stored_shape, image_shape):
    """Whether `fit` leaves a choice of crop for images of `stored_shape`."""
    (height, width), (rows, columns) = stored_shape[:2], image_shape[:2]
    if None in (height, width):
        return True
    if _is_padded((rows - height, columns - width)):
        return False
    return height * columns != width * rows


def _is_padded(growth):
    return all(0 <= g <= MAX_PADDING for g in growth)


def read(encoded, image_shape, crop_seed=None):
    """Reads an image file as `image_shape`; see `decode` and `shaped`."""
    image = decode(encoded, image_shape[-1])
    return shaped(image, image_shape, crop_seed)


def shaped(image, image_shape, crop_seed=None):
    """An image as `image_shape`; see `fit`.

    With `None` for height and width it keeps its size.
    """
    if None in image_shape:
        return in_channels(image, image_shape[-1])
    return fit(image, image_shape, crop_seed)


def in_channels(image, channels):
    """A grey image in 3 channels for a colour model, a colour one in grey."""
    if image.shape[-1] == 1 and channels == 3:
        image = tf.image.grayscale_to_rgb(image)
    if channels == 1 and image.shape[-1] != 1:
        image = _make_grey(image)
    return tf.ensure_shape(image, (None, None, channels))


def fit(image, image_shape, crop_seed=None):
    """Brings an image to the shape that a model wants.

    An image of the right size is untouched. One that is smaller by at most
    4 pixels a side (28x28 digits for a 32x32 model) is padded with black, not
    enlarged. Any other is resized (bilinear, antialiased) so that it just
    covers the target, then cropped to it; one that would cover more than 8
    times the target is cropped first. Grey images are repeated over the
    channels of a colour model, colour images are made grey for a grey one.

    Args:
        image: uint8 tensor (height, width, 1 or 3).
        image_shape: (height, width, channels) of the result.
        crop_seed: `None` for the centre crop, or an int64 tensor (2,): the
            crop's position is then uniform and a pure function of this seed.

    Returns:
        uint8 tensor of `image_shape`.
    """
    if image.shape[-1] == 1 and image_shape[-1] == 3:
        image = tf.image.grayscale_to_rgb(image)
    growth = tf.constant(image_shape[:2]) - tf.shape(image)[:2]
    fitted = tf.cond(
        tf.reduce_all((growth >= 0) & (growth <= MAX_PADDING)),
        lambda: _pad(image, growth),
        lambda: _cover(image, image_shape, crop_seed),
    )
    if image_shape[-1] == 1 and image.shape[-1] != 1:
        fitted = _make_grey(fitted)
    return tf.ensure_shape(fitted, image_shape)


def _pad(image, growth):
    before = growth // 2
    margins = tf.stack([before, growth - before], axis=1)
    return tf.pad(image, tf.concat([margins, [[0, 0]]], axis=0))


def _cover(image, image_shape, crop_seed):
    target = tf.constant(image_shape[:2])
    draws = None
    if crop_seed is not None:
        draws = tf.random.stateless_uniform([2], crop_seed)
    image = _shorten(image, target, draws)
    size = tf.shape(image)[:2]
    scale = tf.reduce_max(target / size)
    size = tf.cast(tf.round(tf.cast(size, scale.dtype) * scale), tf.int32)
    size = tf.maximum(size, target)
    image = tf.image.resize(image, size, antialias=True)
    image = crop(image, target, draws)
    return tf.saturate_cast(tf.round(image), tf.uint8)


def _shorten(image, target, draws):
    """Crops an image that would cover many times the target.

    Nothing of the size of what it would cover is then made.
    """
    size = tf.shape(image)[:2]
    scale = tf.reduce_max(target / size)
    needed = tf.cast(
        tf.math.ceil(tf.cast(target, scale.dtype) / scale), tf.int32
    )
    needed = tf.clip_by_value(needed, 1, size)
    return tf.cond(
        tf.reduce_any(size > MAX_COVER * needed),
        lambda: crop(image, needed, draws),
        lambda: image,
    )


def crop(image, size, draws=None):
    """A part of an image: its centre, or from where numbers say.

    Args:
        image: tensor (height, width, channels).
        size: int tensor (2,), height and width of the part.
        draws: float tensor (2,) in [0, 1), or `None` for the centre.
    """
    room = tf.shape(image)[:2] - size
    if draws is None:
        offset = room // 2
    else:
        offset = tf.cast(draws * tf.cast(room + 1, tf.float32), tf.int32)
        offset = tf.minimum(offset, room)
    return tf.slice(
        image, tf.concat([offset, [0]], 0), tf.concat([size, [-1]], 0)
    )


def _make_grey(image):
    """Grey of an image that may be grey already."""
    if image.shape[-1] is None:
        return tf.cond(
            tf.shape(image)[-1] == 1,
            lambda: image,
            lambda: _make_grey(tf.ensure_shape(image, (None, None, 3))),
        )
    grey = tf.tensordot(tf.cast(image, tf.float32), GREY, 1)[..., None]
    return tf.saturate_cast(tf.round(grey), tf.uint8)
