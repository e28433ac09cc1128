"""Images in a graph: decoded, no larger than they may be, and fitted."""

import tensorflow as tf

from keras_csc.data.sources import DataError

MAX_PIXELS = 2**26
# A JPEG file of few bytes may draw every pixel again and again.
SCANNED_PIXELS = 2**30
SCAN_BYTES = 12
JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"

MAX_PADDING = 4
MAX_COVER = 8
GREY = (0.299, 0.587, 0.114)


def normalize(images):
    """Maps uint8 images in [0, 255] to float32 in [-1, 1]."""
    return tf.cast(images, tf.float32) / 127.5 - 1.0


# === Files ===


def read(encoded, image_shape, crop_seed=None):
    """Reads a JPEG or PNG file as `image_shape`; see `shaped`.

    Raises `InvalidArgumentError` for a file that is damaged or not accepted.
    """
    problem = inspect(encoded)
    message = tf.strings.join(["the file ", problem, "."])
    check = tf.raw_ops.Assert(condition=problem == "", data=[message])
    with tf.control_dependencies([] if check is None else [check]):
        encoded = tf.identity(encoded)
    return shaped(pixels(encoded), image_shape, crop_seed)


# Traced once, and not for every pipeline and signature that reads files.
@tf.function(autograph=False)
def inspect(encoded, most_pixels=MAX_PIXELS, least_side=1):
    """Fault that the header of a JPEG or PNG file shows, "" if none."""
    kinds = [tf.strings.substr(encoded, 0, len(m)) == m for m in (JPEG, PNG)]
    height, width, problem = tf.case(
        [
            (kinds[0], lambda: _inspect_jpeg(encoded)),
            (kinds[1], lambda: _inspect_png(encoded)),
        ],
        lambda: _found(
            [1, 1],
            tf.where(encoded == "", "is empty", "is no JPEG or PNG file"),
        ),
    )
    fits = (tf.minimum(height, width) >= least_side) & (
        height * width <= most_pixels
    )
    least = "1" if least_side == 1 else f"{least_side}x{least_side}"
    size_problem = tf.strings.format(
        f"has {{}}x{{}} pixels (width x height), and must have from {least} to "
        f"{most_pixels:,} in all: resize it",
        (width, height),
    )
    return tf.where((problem == "") & ~fits, size_problem, problem)


def pixels(encoded):
    """Decodes a file that has no problem: uint8 (height, width, 3).

    Transparency is dropped, and 16 bits become 8.
    """
    image = tf.io.decode_image(encoded, 3, expand_animations=False)
    return tf.ensure_shape(image, (None, None, 3))


def _found(sides, problem):
    height, width = tf.unstack(tf.cast(sides, tf.int64), 2)
    return height, width, problem


def _inspect_jpeg(encoded):
    sides = tf.cast(tf.io.extract_jpeg_shape(encoded)[:2], tf.int64)
    count = tf.reduce_prod(sides)
    length = tf.cast(tf.strings.length(encoded), tf.int64)
    scans = tf.cond(
        count * (length // SCAN_BYTES) > SCANNED_PIXELS,
        lambda: _count_scans(encoded),
        lambda: tf.constant(1, tf.int64),
    )
    problem = tf.where(
        (scans > 1) & (scans * count > SCANNED_PIXELS),
        "is a JPEG file of too many scans for its size: save it as baseline",
        "",
    )
    return _found(sides, problem)


def _count_scans(encoded):
    values = tf.io.decode_raw(encoded, tf.uint8)
    return tf.math.count_nonzero((values[:-1] == 0xFF) & (values[1:] == 0xDA))


def _inspect_png(encoded):
    # The size is that of a header in its place: libpng skips chunks before it.
    head = tf.strings.join([tf.strings.substr(encoded, 0, 24), b"\0" * 24])
    first = tf.strings.substr(head, 12, 4) == b"IHDR"
    sides = tf.io.decode_raw(
        tf.strings.substr(head, 16, 8), tf.int32, little_endian=False
    )
    problem = tf.where(
        first, "", "is a PNG file that does not begin with its header"
    )
    return _found(sides[::-1], problem)


# === Shapes ===


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


def shaped(image, image_shape, crop_seed=None):
    """An image as `image_shape`; see `fit`.

    With `None` for height and width the image keeps its size.
    """
    if None in image_shape:
        return in_channels(image, image_shape[-1])
    return fit(image, image_shape, crop_seed)


def in_channels(image, channels):
    """A grey image in 3 channels for a colour model, a colour one in grey."""
    if image.shape[-1] == 1 and channels == 3:
        return tf.image.grayscale_to_rgb(image)
    if image.shape[-1] == 3 and channels == 1:
        # No tensordot: TensorFlow would complain of a transposed uint8.
        grey = tf.linalg.matvec(tf.cast(image, tf.float32), GREY)[..., None]
        return tf.saturate_cast(tf.round(grey), tf.uint8)
    return image


def fit(image, image_shape, crop_seed=None):
    """Brings an image to the shape that a model wants.

    An image of the right size is untouched. An image that is smaller by at most
    4 pixels a side (28x28 digits for a 32x32 model) is padded with black, not
    enlarged. Any other image is resized (bilinear, antialiased) so that it just
    covers the target, then cropped to it. If it would cover more than 8 times
    the target, it is cropped first. Channels are made as `in_channels` does.

    Args:
        image: uint8 tensor (height, width, 1 or 3).
        image_shape: (height, width, channels) of the result, uint8.
        crop_seed: `None` for the centre crop, or an int64 tensor (2,) that
            decides the crop's position, uniformly.
    """
    growth = tf.constant(image_shape[:2]) - tf.shape(image)[:2]
    fitted = tf.cond(
        tf.reduce_all((growth >= 0) & (growth <= MAX_PADDING)),
        lambda: tf.image.resize_with_crop_or_pad(image, *image_shape[:2]),
        lambda: _cover(image, image_shape, crop_seed),
    )
    shape = (*image_shape[:2], image.shape[-1])
    return in_channels(tf.ensure_shape(fitted, shape), image_shape[-1])


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

    So no image is made of the size that it would cover.
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
    """A part of an image: its centre, or where `draws` in [0, 1) place it."""
    room = tf.shape(image)[:2] - size
    if draws is None:
        offset = room // 2
    else:
        offset = tf.cast(draws * tf.cast(room + 1, tf.float32), tf.int32)
        offset = tf.minimum(offset, room)
    return part(image, offset, size)


def part(image, offset, size):
    """The part of an image from an offset on; `size` is `(height, width)`."""
    return tf.slice(
        image, tf.concat([offset, [0]], 0), tf.concat([size, [-1]], 0)
    )
