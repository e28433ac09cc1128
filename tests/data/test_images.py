"""Image files in a graph: kinds, damage, sizes, and how they are fitted."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from skimage.data import astronaut

from keras_csc.data import images

SIZE = (24, 20)
RAMP = np.indices(SIZE)
WAVE = np.stack([RAMP[0] * 10, RAMP[1] * 12, 255 - RAMP[0] * 5], -1)
WAVE = Image.fromarray(WAVE.astype(np.uint8))


def file_of(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


KINDS = {
    "grey png": (WAVE.convert("L"), "PNG", {}),
    "palette png": (WAVE.quantize(90), "PNG", {}),
    "clear png": (WAVE.convert("RGBA"), "PNG", {}),
    "jpeg": (WAVE, "JPEG", {"quality": 100, "subsampling": 0}),
    "cmyk jpeg": (WAVE.convert("CMYK"), "JPEG", {"quality": 100}),
}


@pytest.fixture(scope="module")
def read():
    """Functions of a graph, from the number of channels."""

    def reader(channels):
        return tf.function(
            lambda file: images.read(file, (*SIZE, channels)),
            input_signature=[tf.TensorSpec((), tf.string)],
        )

    return {channels: reader(channels) for channels in (1, 3)}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_are_read_as_pillow_does(read, kind):
    image, form, options = KINDS[kind]
    content = file_of(image, form, **options)
    for channels, expected in (
        (3, image.convert("RGB")),
        (1, image.convert("RGB").convert("L")),
    ):
        expected = np.asarray(expected, int).reshape(*SIZE, channels)
        limit = 12 if "jpeg" in kind else 1
        assert np.abs(read[channels](content).numpy() - expected).max() <= limit
    for share in (0.0, 0.03, 0.5, 0.98):  # Cut files are refused.
        with pytest.raises(tf.errors.InvalidArgumentError):
            read[3](content[: int(len(content) * share)])


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_are_made_8(read, channels):
    image = np.asarray(WAVE)[..., :channels]
    deep = tf.io.encode_png(image * np.uint16(257))
    expected = read[channels](tf.io.encode_png(image))
    np.testing.assert_array_equal(read[channels](deep), expected)


def forged(content, width, height):
    """A PNG file whose header says that it is of another size."""
    sides = b"".join(n.to_bytes(4, "big") for n in (width, height))
    return content[:16] + sides + content[24:]


PNG = file_of(WAVE, "PNG")


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "the file is empty"),
        (file_of(WAVE, "GIF"), "is no JPEG or PNG file"),
        (forged(PNG, 60000, 60000), "60000x60000 pixels"),
        (forged(PNG, 2**31 - 1, 2**31 - 1), "2147483647x2147483647 pixels"),
        (forged(PNG, 0, 8), "0x8 pixels"),
        (file_of(Image.new("L", (9000, 9000)), "JPEG"), "9000x9000 pixels"),
        # libpng passes over a chunk before the header.
        (PNG[:8] + bytes(12) + PNG[8:], "not begin with its header"),
    ],
)
def test_what_is_refused_before_it_is_decoded(read, content, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        read[3](content)


def test_many_scans_of_a_large_jpeg_are_refused(read):
    image = Image.new("L", (4096, 4096))
    content = file_of(image, "JPEG", progressive=True)
    scan = content[content.rindex(b"\xff\xda") : -2]
    small = file_of(image.resize((512, 512)), "JPEG", progressive=True)
    assert read[1](small).shape == (*SIZE, 1)
    bomb = content[:-2] + scan * 80 + content[-2:]
    with pytest.raises(tf.errors.InvalidArgumentError, match="too many scans"):
        read[1](bomb)


@pytest.mark.parametrize("size, seed", [((1, 100_000), None), ((1500, 2), 3)])
def test_extreme_shapes_are_cropped_before_they_are_resized(size, seed):
    image = np.zeros((*size, 3), np.uint8)
    image[..., 1] = np.indices(size).sum(0) * 255 // (sum(size) - 2)
    fitted = fit(image, (16, 16, 3), seed)
    assert np.ptp(fitted[..., 1].astype(int)) <= 4
    if seed is None:
        assert np.abs(fitted[..., 1].astype(int) - 127).max() <= 4


def fit(image, shape, seed=None):
    seed = None if seed is None else tf.constant([7, seed], tf.int64)
    return images.fit(tf.constant(image), shape, seed).numpy()


@pytest.mark.parametrize("size", [(28, 28), (31, 28)])
def test_small_differences_are_padded_with_black(make, size):
    image = make.noise(*size)
    top, left = (32 - size[0]) // 2, (32 - size[1]) // 2
    expected = np.zeros((32, 32, 3), np.uint8)
    expected[top : top + size[0], left : left + size[1]] = image
    np.testing.assert_array_equal(fit(image, (32, 32, 3)), expected)


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((130, 200), (32, 32)),
        ((97, 61), (24, 40)),
        ((20, 33), (64, 64)),
        ((27, 27), (32, 32)),
    ],
)
def test_other_sizes_cover_and_are_cropped_as_pillow_does(size, shape):
    image = astronaut()[60 : 60 + size[0], 150 : 150 + size[1]]
    scale = max(shape[0] / size[0], shape[1] / size[1])
    rows, columns = (round(length * scale) for length in size)
    top, left = (rows - shape[0]) // 2, (columns - shape[1]) // 2
    resized = np.asarray(
        Image.fromarray(image).resize((columns, rows), Image.BILINEAR)
    )
    expected = resized[top : top + shape[0], left : left + shape[1]]
    found = fit(image, (*shape, 3)).astype(int)
    assert np.abs(found - expected).max() <= 1


def test_random_crops_move_along_the_long_side_only(make):
    image = make.noise(16, 24)
    windows = {image[:, i : i + 16].tobytes() for i in range(9)}
    found = [fit(image, (16, 16, 3), seed).tobytes() for seed in range(80)]
    assert set(found) == windows
    assert fit(image, (16, 16, 3), 3).tobytes() == found[3]
