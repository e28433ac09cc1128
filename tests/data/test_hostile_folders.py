"""Folders that hold what is no image, or the same one twice."""

import os
import socket
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_csc import data
from keras_csc.data import headers
from keras_csc.data.decoding import decode
from keras_csc.data.headers import check_file
from keras_csc.data.listing import LeftOut
from keras_csc.data.listing import find_images

SHAPE = (8, 8, 3)


def fill(make, folder, count=3, first=0):
    for i in range(first, first + count):
        make.write_image(str(folder / f"{i}.png"), make.noise(8, 8, seed=i))


def open_folder(root, split="train", shape=SHAPE, fraction=0.0):
    return data.open_dataset("image_folder", split, shape, root, fraction)


def labelled(source):
    """Dict from the names of the files to their classes."""
    labels = data.load_arrays(source)[1]
    return {
        os.path.basename(source.locate(i)): source.class_names[labels[i]]
        for i in range(source.size)
    }


def told(capsys):
    """Lines on stderr; on a slow machine there are others, of progress."""
    lines = capsys.readouterr().err.splitlines()
    return [line for line in lines if "left out" in line]


def found(root):
    left_out = LeftOut(root)
    return sorted(find_images(root, left_out)), dict(left_out.reasons)


def test_links_are_left_out_and_said(make, tmp_path, capsys):
    outside = tmp_path / "outside"
    root = tmp_path / "images"
    fill(make, outside, 1, 90)
    fill(make, root / "train" / "cat")
    fill(make, root / "train" / "dog", 3, 10)
    cat = root / "train" / "cat"
    (cat / "up").symlink_to("..")
    (cat / "loop").symlink_to("loop")
    (cat / "loop.png").symlink_to("loop.png")
    (cat / "dangling.png").symlink_to("nowhere.png")
    (cat / "device.png").symlink_to("/dev/zero")
    (cat / "dogs").symlink_to("../dog")
    (cat / "outside").symlink_to(outside)
    (root / "train" / "bird").symlink_to(outside)
    source = open_folder(root)
    assert source.class_names == ["cat", "dog"]
    assert labelled(source) == {
        **{f"{i}.png": "cat" for i in range(3)},
        **{f"{i}.png": "dog" for i in range(10, 13)},
    }
    (line,) = told(capsys)
    assert line.startswith(f"7 entries of {root} left out: 7 links (")
    open_folder(root)
    assert told(capsys) == []


def test_what_is_no_image(make, tmp_path, monkeypatch):
    fill(make, tmp_path / "cat", 1)
    fill(make, tmp_path / ".thumbnails", 1)
    (tmp_path / "a.heic").write_bytes(b"")
    (tmp_path / "notes.txt").write_bytes(b"")
    os.mkfifo(tmp_path / "cat" / "x.png")
    with socket.socket(socket.AF_UNIX) as one:
        monkeypatch.chdir(tmp_path)
        one.bind("y.png")
        names, reasons = found(tmp_path)
    assert names == ["cat/0.png"]
    assert reasons == {
        "neither files nor folders": ["y.png", "cat/x.png"],
        "of a format that is not read": ["a.heic"],
    }


def test_names_that_are_not_utf8(make, tmp_path, capsys):
    root = tmp_path / "a"
    fill(make, root / "train" / "cat", 2)
    content = (root / "train" / "cat" / "0.png").read_bytes()
    bad = os.fsencode(root / "train" / "cat") + b"/\xff.png"
    with open(bad, "wb") as file:
        file.write(content)
    os.mkdir(os.fsencode(root / "train") + b"/d\xf6g")
    assert open_folder(root).size == 2
    line = capsys.readouterr().err
    assert r"2 with names that are not UTF-8" in line
    assert r"cat/\xff.png" in line
    with pytest.raises(data.DataError, match="must be a name in UTF-8"):
        folder = os.fsencode(tmp_path) + b"/\xff"
        os.mkdir(folder)
        open_folder(os.fsdecode(folder))


def test_no_image_is_in_two_splits(make, tmp_path):
    train, test = tmp_path / "train" / "cat", tmp_path / "test" / "cat"
    fill(make, train)
    fill(make, test, 3, 10)
    os.link(train / "0.png", test / "0.png")
    os.link(train / "1.png", train / "again.png")
    train, test = open_folder(tmp_path), open_folder(tmp_path, "test")
    assert sorted(labelled(train)) == ["0.png", "1.png", "2.png"]
    assert sorted(labelled(test)) == ["10.png", "11.png", "12.png"]


@pytest.mark.parametrize("target", ["train", "train/cat"])
def test_test_folder_within_the_training_folder(make, tmp_path, target):
    fill(make, tmp_path / "train" / "cat")
    (tmp_path / "test").symlink_to(target)
    for split in ("train", "test"):
        with pytest.raises(data.DataError, match="share images"):
            open_folder(tmp_path, split)


def test_folders_that_cannot_be_listed(make, tmp_path, monkeypatch, capsys):
    fill(make, tmp_path / "cat", 40)
    (tmp_path / "secret").mkdir()
    scandir = os.scandir

    def guarded(path):
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    assert open_folder(tmp_path).class_names == ["cat"]
    assert "1 unreadable: Permission denied (secret)" in capsys.readouterr().err


def test_files_that_cannot_be_opened(make, tmp_path, monkeypatch, capsys):
    fill(make, tmp_path / "train" / "cat", 4)

    def guarded(path, *args):
        if str(path).endswith("2.png"):
            raise PermissionError(13, "Permission denied")
        return open(path, *args)

    monkeypatch.setattr(headers, "open", guarded, raising=False)
    assert open_folder(tmp_path).size == 3
    assert "cat/2.png: Permission denied" in capsys.readouterr().err


def test_unlabelled_training_images_have_unlabelled_tests(make, tmp_path):
    fill(make, tmp_path / "train", 2)
    fill(make, tmp_path / "test" / "cat", 2, 5)
    source = open_folder(tmp_path, "test")
    assert source.class_names is None
    assert list(data.load_arrays(source)[1]) == [-1, -1]


def saved(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


@pytest.mark.parametrize("channels", [1, 3])
def test_every_format_is_read(tmp_path, channels):
    rows, columns = np.mgrid[:8, :8]
    grey = (rows * 20 + columns * 10).astype(np.uint8)
    image = Image.fromarray(grey)
    folder = tmp_path / "train" / "all"
    for extension in ("png", "bmp", "gif", "tif", "TIFF"):
        saved(folder / f"a.{extension}", image)
    saved(folder / "a.webp", image, lossless=True)
    saved(folder / "p.tif", image.convert("P"))
    saved(folder / "c.jpg", image.convert("CMYK"), quality=100)
    saved(folder / "b.tif", image.convert("RGB"), compression="tiff_lzw")
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    saved(folder / "deep.png", deep)
    saved(folder / "deep.tif", deep)
    source = open_folder(tmp_path, shape=(8, 8, channels))
    images = data.load_arrays(source)[0]
    assert images.shape == (11, 8, 8, channels)
    for index, image in enumerate(images.astype(int)):
        error = np.abs(image - grey[..., None]).max()
        limit = 8 if source.locate(index).endswith("jpg") else 2
        assert error <= limit, source.locate(index)


def test_a_bitmap_of_bits_is_left_out(make, tmp_path, capsys):
    fill(make, tmp_path / "train", 2)
    saved(tmp_path / "train" / "bits.bmp", Image.new("1", (8, 8)))
    assert open_folder(tmp_path).size == 2
    assert (
        "bits.bmp: the file is a BMP file of another" in capsys.readouterr().err
    )


def test_images_too_large_to_decode_are_left_out(make, tmp_path, capsys):
    fill(make, tmp_path / "train", 2)
    path = tmp_path / "train" / "large.png"
    content = (tmp_path / "train" / "0.png").read_bytes()
    path.write_bytes(forged(content, "PNG", 9000))
    assert open_folder(tmp_path).size == 2
    assert f"{path}: 9000x9000 pixels, more than" in capsys.readouterr().err


def forged(content, form, size):
    """A file whose header says that it is `size` pixels wide and high."""
    content = bytearray(content)
    start = content.find(b"\xff\xc0") + 5
    place, length, order = {
        "JPEG": (start, 2, "big"),
        "PNG": (16, 4, "big"),
        "GIF": (6, 2, "little"),
        "BMP": (18, 4, "little"),
    }[form]
    content[place : place + 2 * length] = size.to_bytes(length, order) * 2
    if form == "PNG":
        content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP"])
def test_sizes_are_known_before_decoding(make, tmp_path, form):
    path = tmp_path / "image"
    content = make.encode(make.noise(8, 8), form)
    path.write_bytes(content)
    assert check_file(path) == ("", False, (8, 8))
    path.write_bytes(forged(content, form, 9000))
    assert "9000x9000 pixels" in check_file(path).problem
    path.write_bytes(forged(content, form, 60000))
    assert "more than 67,108,864 pixels" in check_file(path).problem
    with pytest.raises(tf.errors.InvalidArgumentError, match="60000x60000"):
        decode(path.read_bytes(), 3)


def test_files_that_are_too_long(tmp_path):
    path = tmp_path / "sparse.jpg"
    with open(path, "wb") as file:
        file.write(b"\xff\xd8\xff")
        file.truncate(10**10)
    assert "10,000,000,000 bytes, more than" in check_file(path).problem
