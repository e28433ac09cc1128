"""Image files in a graph: kinds, damage, sizes, and how they are fitted."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from skimage.data import astronaut

from keras_csc.data import images
from keras_csc.data.image_files import check_file
from keras_csc.data.image_files import read_pixels

SIZE = (24, 20)


def wave():
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    image = np.stack([rows * 10, columns * 12, 255 - rows * 5], -1)
    return Image.fromarray(image.astype(np.uint8))


def file_of(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


KINDS = {
    "png": (wave(), "PNG", {}),
    "grey png": (wave().convert("L"), "PNG", {}),
    "palette png": (wave().quantize(90), "PNG", {}),
    "clear png": (wave().convert("RGBA"), "PNG", {}),
    "jpeg": (wave(), "JPEG", {"quality": 100, "subsampling": 0}),
    "cmyk jpeg": (wave().convert("CMYK"), "JPEG", {"quality": 100}),
    "gif": (wave().quantize(90), "GIF", {}),
    "grey gif": (wave().convert("L"), "GIF", {}),
    "bmp": (wave(), "BMP", {}),
    "grey bmp": (wave().convert("L"), "BMP", {}),
    "palette bmp": (wave().quantize(90), "BMP", {}),
    "clear bmp": (wave().convert("RGBA"), "BMP", {}),
    "webp": (wave(), "WEBP", {"lossless": True}),
    "clear webp": (wave().convert("RGBA"), "WEBP", {"lossless": True}),
    "lossy webp": (wave().convert("L"), "WEBP", {"quality": 100}),
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
        limit = 12 if "jpeg" in kind or "lossy" in kind else 1
        assert np.abs(read[channels](content).numpy() - expected).max() <= limit
    for share in (0.0, 0.03, 0.5, 0.98):  # Cut files are refused.
        with pytest.raises(tf.errors.InvalidArgumentError, match="the file "):
            read[3](content[: int(len(content) * share)])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("stored", [1, 3])
def test_16_bits_are_made_8(read, stored, channels):
    image = np.asarray(wave().convert("L" if stored == 1 else "RGB"))
    image = image.reshape(*SIZE, stored)
    deep = tf.io.encode_png(image * np.uint16(257))
    expected = read[channels](tf.io.encode_png(image)).numpy().astype(int)
    # Grey of colour is rounded once more.
    rounding = int(stored == 3 and channels == 1)
    np.testing.assert_allclose(read[channels](deep), expected, atol=rounding)


def test_a_png_file_begins_with_its_header(read, tmp_path):
    """libpng passes over a chunk before it, which may tell another size."""
    content = file_of(wave(), "PNG")
    body = b"abCd" + struct.pack(">II", 5, 5) + bytes(5)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    content = content[:8] + chunk + content[8:]
    assert tf.io.decode_png(content).shape == (*wave().size[::-1], 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match="not begin with"):
        read[3](content)
    path = tmp_path / "image.png"
    path.write_bytes(content)
    assert "does not begin with" in check_file(path).problem


def test_what_pillow_would_give_to_other_programs(tmp_path):
    path = tmp_path / "image.jpg"
    wave().save(path, "EPS")
    with pytest.raises(ValueError, match="cannot identify"):
        read_pixels(path)


@pytest.mark.parametrize(
    "mode, compression", [("L", None), ("RGBA", "tiff_lzw")]
)
def test_pillow_turns_tiff_files_upright(tmp_path, mode, compression):
    path = tmp_path / "image.tif"
    stored = wave().convert(mode)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[images.ORIENTATION] = orientation
        stored.save(path, exif=exif, compression=compression)
        mirrored, turns = images.TURNS.get(orientation, (False, 0))
        expected = np.asarray(stored.convert("RGB"))
        expected = np.rot90(expected[:, ::-1] if mirrored else expected, turns)
        np.testing.assert_array_equal(read_pixels(path), expected)
        assert check_file(path).size == expected.shape[:2]


@pytest.mark.parametrize("black", [0, 1])
def test_grey_tiff_files_of_16_bits_are_made_8(tmp_path, black):
    path = tmp_path / "image.tif"
    values = np.asarray(wave().convert("L"))
    stored = Image.fromarray(values * np.uint16(257))
    stored.save(path, tiffinfo={262: black})  # 0: white is 0
    expected = values if black else 255 - values
    np.testing.assert_array_equal(read_pixels(path)[..., 1], expected)


def animation(form, frames=3):
    made = [Image.new("RGB", (40, 30), (90 * i, 0, 0)) for i in range(frames)]
    file = io.BytesIO()
    made[0].save(file, form, save_all=True, append_images=made[1:])
    return file.getvalue()


def test_gif_files_are_read_no_further_than_their_first_frame(read):
    content = animation("GIF", 2)
    assert np.max(read[3](content)) == 0
    second = content.rindex(b"\x2c")
    damaged = content[:second] + b"\x2c" + b"\xff" * 60
    assert np.max(read[3](damaged)) == 0


def test_animated_webp_files_are_refused(read):
    """TensorFlow 2.21 writes beyond its memory for them."""
    with pytest.raises(tf.errors.InvalidArgumentError, match="animated WebP"):
        read[3](animation("WEBP"))


def test_gif_blocks_without_end(read):
    content = b"GIF89a" + struct.pack("<HHBBB", 4, 4, 0, 0, 0)
    content += b"\x21\xfe" + b"\x01a" * 300
    with pytest.raises(tf.errors.InvalidArgumentError, match="whole frame"):
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


@pytest.mark.parametrize("size", [(1, 100_000), (1500, 2)])
@pytest.mark.parametrize("seed", [None, 3])
def test_extreme_shapes_are_cropped_before_they_are_resized(size, seed):
    image = np.zeros((*size, 3), np.uint8)
    image[..., 1] = np.indices(size).sum(0) * 255 // (sum(size) - 2)
    seed = None if seed is None else tf.constant([7, seed], tf.int64)
    fitted = images.fit(tf.constant(image), (16, 16, 3), seed).numpy()
    assert np.ptp(fitted[..., 1].astype(int)) <= 4
    if seed is None:
        assert np.abs(fitted[..., 1].astype(int) - 127).max() <= 4


def fit(image, shape, seed=None):
    if image.ndim == 2:
        image = image[..., None]
    seed = None if seed is None else tf.constant([7, seed], tf.int64)
    return images.fit(tf.constant(image), shape, seed).numpy()


@pytest.mark.parametrize("size", [(28, 28), (31, 28)])
def test_small_differences_are_padded_with_black(make, size):
    image = make.noise(*size)
    top, left = (32 - size[0]) // 2, (32 - size[1]) // 2
    expected = np.zeros((32, 32, 3), np.uint8)
    expected[top : top + size[0], left : left + size[1]] = image
    np.testing.assert_array_equal(fit(image, (32, 32, 3)), expected)


def test_larger_differences_are_enlarged(make):
    image = np.full((27, 27, 3), 200, np.uint8)
    assert (fit(image, (32, 32, 3)) == 200).all()


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((130, 200), (32, 32)),
        ((218, 178), (64, 64)),
        ((97, 61), (24, 40)),
        ((20, 33), (64, 64)),
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


def test_grayscale_is_repeated_for_colour_models(make):
    image = make.noise(16, 16, 1)
    found = fit(image, (16, 16, 3))
    for channel in range(3):
        np.testing.assert_array_equal(found[..., channel], image)


def test_random_crops_move_along_the_long_side_only(make):
    image = make.noise(16, 24)
    windows = {image[:, i : i + 16].tobytes() for i in range(9)}
    found = [fit(image, (16, 16, 3), seed).tobytes() for seed in range(80)]
    assert set(found) == windows
    assert fit(image, (16, 16, 3), 3).tobytes() == found[3]


def test_can_crop():
    assert images.can_crop((None, None, 3), (32, 32, 3))
    assert images.can_crop((218, 178, 3), (64, 64, 3))
    assert not images.can_crop((64, 64, 3), (32, 32, 3))
    assert not images.can_crop((28, 28, 1), (32, 32, 1))
    assert not images.can_crop((32, 30, 1), (32, 32, 1))
