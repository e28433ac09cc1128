"""Decoding of image files within a graph, no larger than it may be."""

import typing

import tensorflow as tf

MAX_PIXELS = 2**26
SCANNED_PIXELS = 2**30
SCAN_BYTES = 12
GIF_BLOCKS = 30_000  # of 255 bytes; each takes some 60 µs

MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"RIFF")
HEAD = 70
RGB_MASKS = b"\0\0\xff\0\0\xff\0\0\xff\0\0\0"
FORMATS = "JPEG, PNG, GIF, BMP or WebP"


def decode(encoded, channels):
    """Decodes a JPEG, PNG, GIF (first frame), BMP or WebP file.

    Its size is read from its header before memory is taken for its pixels.
    Transparency is dropped, 16 bits are made 8.

    Args:
        encoded: scalar string tensor, the bytes of the file.
        channels: 1 or 3, what is wanted.

    Returns:
        uint8 tensor (height, width, 1 or 3) in [0, 255]. Grey is asked of the
        decoder where that converts; else a colour image stays in colour.

    Raises:
        tf.errors.InvalidArgumentError: for a file of another kind, without an
            end, of more than `MAX_PIXELS` pixels, or damaged.
    """
    problem, file = inspect(encoded)
    message = tf.strings.join(["the file ", problem, "."])
    check = tf.raw_ops.Assert(condition=problem == "", data=[message])
    with tf.control_dependencies([] if check is None else [check]):
        encoded = tf.identity(file.encoded)
    return pixels(file._replace(encoded=encoded), channels)


class Inspected(typing.NamedTuple):
    """What the header of a file says, as scalar tensors.

    `plain` files are those of which the decoder makes grey images.
    """

    encoded: tf.Tensor
    head: tf.Tensor
    kind: tf.Tensor
    plain: tf.Tensor


# Traced once, and not for every pipeline and signature that reads files.
@tf.function(autograph=False)
def inspect(encoded, most_pixels=MAX_PIXELS, least_side=1):
    """Looks at a file's header and end, and decodes nothing.

    Args:
        encoded: scalar string tensor.
        most_pixels: int, at most `MAX_PIXELS`.
        least_side: int, the least height and width.

    Returns:
        Scalar string tensor, what is wrong ("is empty"), or "" for a file that
        decodes unless it is damaged within; and its `Inspected`.
    """
    head = tf.strings.substr(encoded, 0, HEAD)
    head = tf.strings.join([head, tf.constant(b"\0" * HEAD)])
    kinds = [tf.strings.substr(head, 0, len(m)) == m for m in MAGIC]
    kind = tf.argmax(tf.cast([*kinds, True], tf.int32), output_type=tf.int32)
    branches = [_jpeg, _png, _gif, _bmp, _webp, _unknown]
    height, width, problem, plain, trimmed = tf.switch_case(
        kind, [lambda read=read: read(encoded, head) for read in branches]
    )
    too_many = height * width > most_pixels
    fits = (tf.minimum(height, width) >= least_side) & ~too_many
    size_problem = _size_problem(height, width, most_pixels, least_side)
    unnamed = ((problem == "") & ~fits) | too_many
    problem = tf.where(unnamed, size_problem, problem)
    return problem, Inspected(trimmed, head, kind, plain)


def pixels(file, channels):
    """Pixels of an `Inspected` file without a problem; see `decode`."""
    image = tf.cond(
        file.plain,
        lambda: tf.io.decode_image(
            file.encoded, channels, expand_animations=False
        ),
        lambda: _in_colour(*file[:3]),
    )
    image.set_shape((None, None, 3 if channels == 3 else None))
    return image


def _size_problem(height, width, most_pixels, least_side):
    least = "1" if least_side == 1 else f"{least_side}x{least_side}"
    return tf.strings.format(
        f"has {{}}x{{}} pixels (width x height), and must have from {least} to "
        f"{most_pixels:,} in all: resize it",
        (width, height),
    )


def _number(head, start, dtype=tf.int32, little_endian=True):
    """An integer of the header, of any unsigned type or int32."""
    piece = tf.strings.substr(head, start, dtype.size)
    value = tf.io.decode_raw(piece, dtype, little_endian=little_endian)
    return tf.cast(value[0], tf.int64)


def _found(height, width, problem, plain, encoded):
    return (
        tf.cast(height, tf.int64),
        tf.cast(width, tf.int64),
        tf.convert_to_tensor(problem),
        tf.convert_to_tensor(plain),
        encoded,
    )


def _unless(condition, problem):
    return tf.where(condition, "", problem)


def _jpeg(encoded, head):
    length = tf.cast(tf.strings.length(encoded), tf.int64)
    ended = tf.strings.substr(encoded, -2, 2) == b"\xff\xd9"
    ended = tf.cond(
        ended, lambda: True, lambda: _count_pairs(encoded, 0xD9) > 0
    )
    # Of a file without its end, libjpeg speaks on stderr.
    shape = tf.cond(
        ended,
        lambda: tf.io.extract_jpeg_shape(encoded),
        lambda: tf.constant([1, 1, 3]),
    )
    height, width, components = tf.unstack(tf.cast(shape, tf.int64), 3)
    pixels = height * width
    scans = tf.cond(
        pixels * (length // SCAN_BYTES) > SCANNED_PIXELS,
        lambda: _count_pairs(encoded, 0xDA),
        lambda: tf.constant(1, tf.int64),
    )
    problem = tf.where(
        (scans > 1) & (scans * pixels > SCANNED_PIXELS),
        "is a JPEG file of too many scans for its size: save it as baseline",
        _unless(ended, "is a JPEG file without its end"),
    )
    return _found(height, width, problem, components < 4, encoded)


def _count_pairs(encoded, marker):
    """How often a marker of JPEG occurs."""
    values = tf.io.decode_raw(encoded, tf.uint8)
    return tf.math.count_nonzero((values[:-1] == 0xFF) & (values[1:] == marker))


def _png(encoded, head):
    width, height = (_number(head, i, little_endian=False) for i in (16, 20))
    end = b"IEND\xaeB`\x82"
    whole = tf.cond(
        tf.strings.substr(encoded, -8, 8) == end,
        lambda: True,
        lambda: _holds(encoded, end),
    )
    # The size is that of a header in its place: libpng passes over others.
    first = tf.strings.substr(head, 12, 4) == b"IHDR"
    problem = tf.where(
        first,
        _unless(whole, "is a PNG file without its end"),
        "is a PNG file that does not begin with its header",
    )
    size = (tf.where(first, side, 1) for side in (height, width))
    return _found(*size, problem, True, encoded)


def _holds(encoded, word):
    values = tf.io.decode_raw(encoded, tf.uint8)
    count = tf.size(values) - len(word) + 1
    found = tf.ones((count,), tf.bool)
    for offset, value in enumerate(word):
        found &= values[offset : offset + count] == value
    return tf.reduce_any(found)


def _gif(encoded, head):
    """The size of a GIF file and its first frame, as a file of its own."""
    sizes = [_number(head, i, tf.uint16) for i in (6, 8)]
    values = tf.io.decode_raw(encoded, tf.uint8)
    frame, end = _first_frame(values)
    found = (frame > 0) & (end < tf.size(values))
    box = tf.strings.substr(
        encoded, tf.where(found, frame, 0), tf.where(found, 10, 0)
    )
    box = tf.strings.join([box, tf.constant(b"\0" * 10)])
    width, height = (
        tf.maximum(size, _number(box, place, tf.uint16))
        for size, place in zip(sizes, (5, 7), strict=True)
    )
    encoded = tf.strings.join([tf.strings.substr(encoded, 0, end), b";"])
    problem = _unless(
        found, "is a GIF file without a whole frame in its first 7 MB"
    )
    return _found(height, width, problem, False, encoded)


def _first_frame(values):
    """Where the first frame of a GIF file starts and ends; 0 without one."""
    size = tf.size(values)

    def at(place):
        return tf.cast(values[tf.minimum(place, size - 1)], tf.int32)

    def table(flags):
        return tf.where(flags >= 128, 3 * 2 ** (flags % 8 + 1), 0)

    def step(place, frame, within, done):
        """Passes an extension's or a frame's head, or one of its pieces."""
        value = at(place)
        is_frame = ~within & (value == 0x2C)
        is_block = within | is_frame | (value == 0x21)
        length = tf.where(is_frame, 11 + table(at(place + 9)), 2)
        length = tf.where(within, 1 + value, length)
        frame = tf.where(is_frame, place, frame)
        ended = within & (value == 0)
        done = ~is_block | (ended & (frame > 0))
        return place + length, frame, is_block & ~ended, done

    def goes_on(place, frame, within, done):
        return ~done & (place < size)

    start = 13 + table(at(10))
    place, frame, _, done = tf.while_loop(
        goes_on,
        step,
        (start, tf.constant(0), tf.constant(False), tf.constant(False)),
        maximum_iterations=GIF_BLOCKS,
    )
    return frame, tf.where(done, tf.minimum(place, size), size)


def _bmp(encoded, head):
    table, width, height = (_number(head, i) for i in (14, 18, 22))
    height, colours = tf.abs(height), _number(head, 46)
    bits, packing = _number(head, 28, tf.uint16), _number(head, 30)
    start = _number(head, 10)
    masks = tf.strings.substr(head, 54, 12) == RGB_MASKS
    known = (packing == 0) & ((bits == 8) | (bits == 24) | (bits == 32))
    known |= (packing == 3) & (bits == 32) & masks
    known &= (table >= 40) & (colours >= 0) & (colours <= 256)
    rows = (bits * tf.maximum(width, 0) + 31) // 32 * 4
    length = tf.cast(tf.strings.length(encoded), tf.int64)
    problem = tf.where(
        known,
        _unless(start + rows * height <= length, "is a BMP file that is cut"),
        "is a BMP file of another kind than 8, 24 or 32 bits a pixel",
    )
    return _found(height, width, problem, False, encoded)


def _webp(encoded, head):
    kind = tf.strings.substr(head, 8, 8)
    plain, lossless = kind == b"WEBPVP8 ", kind == b"WEBPVP8L"
    extended = kind == b"WEBPVP8X"
    moves = extended & (_number(head, 20, tf.uint8) // 2 % 2 == 1)
    lossy = [_number(head, i, tf.uint16) % 2**14 for i in (26, 28)]
    packed = _number(head, 21) % 2**32
    bare = [packed % 2**14 + 1, packed // 2**14 % 2**14 + 1]
    canvas = [_number(head, i) % 2**24 + 1 for i in (24, 27)]
    width, height = (
        tf.where(plain, a, tf.where(lossless, b, c))
        for a, b, c in zip(lossy, bare, canvas, strict=True)
    )
    length = tf.cast(tf.strings.length(encoded), tf.int64)
    whole = _number(head, 4) % 2**32 + 8 <= length
    problem = _unless(whole, "is a WebP file that is cut")
    problem = tf.where(moves, "is an animated WebP file", problem)
    known = plain | lossless | extended
    problem = tf.where(known, problem, "is a RIFF file, not a WebP file")
    return _found(height, width, problem, False, encoded)


def _unknown(encoded, head):
    problem = tf.where(
        tf.strings.length(encoded) > 0, f"is no {FORMATS} file", "is empty"
    )
    return _found(1, 1, problem, True, encoded)


def _in_colour(encoded, head, kind):
    """Decodes files of which the decoder makes no grey images."""
    image = tf.io.decode_image(encoded, expand_animations=False)
    is_palette = (kind == MAGIC.index(b"BM")) & (tf.shape(image)[-1] == 1)
    image = tf.cond(
        is_palette,
        lambda: tf.gather(
            _palette(encoded, head), tf.cast(image[..., 0], tf.int32)
        ),
        lambda: image[..., :3],
    )
    return tf.ensure_shape(image, (None, None, 3))


def _palette(encoded, head):
    """The 256 colours (RGB) of a BMP file of 8 bits a pixel."""
    count = _number(head, 46)
    count = tf.where(count == 0, tf.constant(256, tf.int64), count)
    start = tf.minimum(
        14 + _number(head, 14), tf.cast(tf.strings.length(encoded), tf.int64)
    )
    colours = tf.strings.substr(encoded, start, 4 * count)
    colours = tf.strings.join([colours, tf.constant(b"\0" * 1024)])
    colours = tf.io.decode_raw(tf.strings.substr(colours, 0, 1024), tf.uint8)
    return tf.reshape(colours, (256, 4))[:, 2::-1]
