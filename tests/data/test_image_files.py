"""Image files of a folder: what is read, by whom, and what is damaged."""

import os
import resource
import zlib

import numpy as np
import pytest
from PIL import Image

from keras_csc import data
from keras_csc.data import image_files
from keras_csc.data.image_files import check_file
from keras_csc.data.image_files import read_pixels

MOST_MIB = 1024


@pytest.fixture
def filled(make, tmp_path):
    """A folder of 12 images for training."""
    for i in range(12):
        path = tmp_path / "train" / f"{i}.png"
        make.write_image(str(path), make.noise(8, 8, seed=i))
    return tmp_path


def open_folder(root, channels=3):
    shape = (8, 8, channels)
    return data.open_dataset("image_folder", "train", shape, root, 0.0)


@pytest.mark.parametrize("channels", [1, 3])
def test_every_format_is_read(tmp_path, channels):
    rows, columns = np.mgrid[:8, :8]
    grey = (rows * 20 + columns * 10).astype(np.uint8)
    image = Image.fromarray(grey)
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    folder = tmp_path / "train"
    folder.mkdir()
    for extension in ("png", "bmp", "gif", "tif", "TIFF"):
        image.save(folder / f"a.{extension}")
    image.save(folder / "a.webp", lossless=True)
    image.convert("P").save(folder / "p.tif")
    image.convert("CMYK").save(folder / "c.jpg", quality=100)
    with open(folder / "c.jpg", "ab") as file:
        file.write(b"camera notes")
    image.convert("RGB").save(folder / "b.tif", compression="tiff_lzw")
    deep.save(folder / "deep.png")
    deep.save(folder / "deep.tif")
    inverse = Image.fromarray(65535 - np.asarray(deep))
    inverse.save(folder / "inverse.tif", tiffinfo={262: 0})  # White is 0.
    source = open_folder(tmp_path, channels)
    assert source.class_names is None and set(source.labels.numpy()) == {-1}
    images = data.load_arrays(source)[0]
    assert images.shape == (12, 8, 8, channels)
    for index, image in enumerate(images.astype(int)):
        error = np.abs(image - grey[..., None]).max()
        limit = 8 if source.locate(index).endswith("jpg") else 2
        assert error <= limit, source.locate(index)


def test_what_pillow_would_give_to_other_programs(tmp_path):
    path = tmp_path / "image.jpg"
    Image.new("RGB", (8, 8)).save(path, "EPS")
    with pytest.raises(ValueError, match="no image of the formats BMP, GIF"):
        read_pixels(path)


@pytest.mark.parametrize("mode, packed", [("L", None), ("RGBA", "tiff_lzw")])
def test_pillow_turns_tiff_files_upright(make, tmp_path, mode, packed):
    path = tmp_path / "image.tif"
    stored = Image.fromarray(make.noise(24, 20)).convert(mode)
    exif = Image.Exif()
    exif[0x0112] = 6  # It lies on its side.
    stored.save(path, exif=exif, compression=packed)
    expected = np.rot90(np.asarray(stored.convert("RGB")), 3)
    np.testing.assert_array_equal(read_pixels(path), expected)
    assert check_file(path)[2] == expected.shape[:2]


def forged(content, form, width, height):
    """A file whose header says that it is of another size."""
    content = bytearray(content)
    place, length, order = {
        "JPEG": (content.find(b"\xff\xc0") + 5, 2, "big"),
        "PNG": (16, 4, "big"),
        "BMP": (18, 4, "little"),
    }[form]
    for side in (height, width) if form == "JPEG" else (width, height):
        content[place : place + length] = side.to_bytes(length, order)
        place += length
    if form == "PNG":
        content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP"])
def test_sizes_are_known_before_decoding(make, tmp_path, form):
    path = tmp_path / "image"
    content = make.encode(make.noise(8, 8), form)
    path.write_bytes(content)
    assert check_file(path) == ("", form == "BMP", (8, 8))
    path.write_bytes(forged(content, form, 9000, 9000))
    assert "9000x9000 pixels" in check_file(path)[0]
    path.write_bytes(forged(content, form, 60000, 60000))
    assert "decompression bomb" in check_file(path)[0]
    with open(path, "ab") as file:
        file.truncate(10**10)
    assert "10,000,000,000 bytes, more than" in check_file(path)[0]


def bad_files(make):
    """Dict from names of files to their bytes."""
    png, bmp = (make.encode(make.noise(8, 8), f) for f in ("PNG", "BMP"))
    changed = bytearray(png)
    changed[45] ^= 255
    return {
        "0.png": b"<html>",
        "1.png": png[:33],
        "1.jpg": make.encode(make.noise(8, 8), "JPEG")[:-30],
        "2.png": bytes(changed),
        "3.png": forged(png, "PNG", 0, 8),
        "4.png": forged(png, "PNG", 2_000_000_000, 1),
        "6.bmp": forged(bmp, "BMP", 0, 8),
        "7.bmp": bmp[:-100],
    }


def test_bad_files_are_left_out_or_named(make, filled):
    """One is left out, if it is found when the files are listed."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name, content in bad_files(make).items():
        path = filled / "train" / f"bad-{name}"
        path.write_bytes(content)
        source = open_folder(filled)
        if source.size > 12:
            with pytest.raises(data.DataError, match=path.name):
                data.load_arrays(source)
        path.unlink()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert peak - before < 1024 * MOST_MIB


def test_files_that_are_left_out_are_said(filled, monkeypatch, capsys):
    def guarded(path, *arguments):
        if str(path).endswith("/5.png"):
            raise PermissionError(13, "Permission denied", path)
        return open(path, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(image_files, "open", guarded, raising=False)
        assert open_folder(filled).size == 11
    said = capsys.readouterr().err
    assert "1 of 12 image files cannot be decoded and are left out" in said
    assert "5.png: Permission denied" in said
    for i in (3, 5):
        path = filled / "train" / f"{i}.png"
        path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(data.DataError, match="2 of 12 .* cannot .*/[35].png"):
        open_folder(filled)


def replace_by_a_folder(path):
    os.remove(path)
    os.mkdir(path)


@pytest.mark.parametrize(
    "change",
    [os.remove, lambda path: open(path, "w").close(), replace_by_a_folder],
)
def test_an_image_that_changes_after_it_was_listed_is_named(filled, change):
    source = open_folder(filled)
    change(source.locate(0))
    with pytest.raises(data.DataError, match=source.locate(0)):
        data.load_arrays(source)
