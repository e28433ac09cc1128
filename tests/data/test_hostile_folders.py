"""Folders that hold what is no image, or the same one twice."""

import os
import resource
import socket
import zlib

import pytest
import tensorflow as tf
from PIL import Image

from keras_csc import data
from keras_csc.data import image_files
from keras_csc.data.decoding import decode
from keras_csc.data.image_files import LeftOut
from keras_csc.data.image_files import check_file
from keras_csc.data.image_files import find_images

SHAPE = (8, 8, 3)
MOST_MIB = 1024


def fill(make, folder, count=3, first=0):
    for i in range(first, first + count):
        make.write_image(str(folder / f"{i}.png"), make.noise(8, 8, seed=i))


def open_folder(root, split="train", shape=SHAPE, fraction=0.0):
    return data.open_dataset("image_folder", split, shape, root, fraction)


def labelled(source):
    """Dict from the names of the files to their classes."""
    return {
        os.path.basename(source.locate(i)): source.class_names[label]
        for i, label in enumerate(source.labels)
    }


def told(capsys):
    """Lines on stderr; on a slow machine there are others, of progress."""
    lines = capsys.readouterr().err.splitlines()
    return [line for line in lines if "left out" in line]


def test_links_are_left_out_and_said(make, tmp_path, capsys):
    outside = tmp_path / "outside"
    root = tmp_path / "images"
    fill(make, outside, 1, 90)
    fill(make, root / "train" / "cat")
    fill(make, root / "train" / "dog", 3, 10)
    cat = root / "train" / "cat"
    (cat / "up").symlink_to("..")
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


def test_every_regular_file_is_found_once(make, tmp_path, monkeypatch):
    deep = f"cat/{'a/' * 200}x.png"
    names = ["cat/0.png", "cat/a \n'\".png", deep, "cat/folder.png/0.png"]
    hidden = ["cat/.x.png", ".thumbnails/0.png"]
    for name in (*names, *hidden):
        make.write_image(str(tmp_path / name), make.noise(8, 8))
    for name in ("a.heic", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "cat" / "x.png")
    with socket.socket(socket.AF_UNIX) as one:
        monkeypatch.chdir(tmp_path)
        one.bind("y.png")
        left_out = LeftOut(tmp_path)
        assert sorted(find_images(tmp_path, left_out)) == sorted(names)
    assert left_out.reasons == {
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


def test_what_cannot_be_opened(make, tmp_path, monkeypatch, capsys):
    fill(make, tmp_path / "train" / "cat", 4)
    (tmp_path / "train" / "secret").mkdir()

    def guarded(function, name):
        def guarded(path, *args):
            if str(path).endswith(name):
                raise PermissionError(13, "Permission denied")
            return function(path, *args)

        return guarded

    monkeypatch.setattr(os, "scandir", guarded(os.scandir, "secret"))
    monkeypatch.setattr(
        image_files, "open", guarded(open, "2.png"), raising=False
    )
    source = open_folder(tmp_path)
    assert source.size == 3 and source.class_names == ["cat"]
    error = capsys.readouterr().err
    assert "1 unreadable: Permission denied (secret)" in error
    assert "cat/2.png: Permission denied" in error


# === Files ===


def forged(content, form, width, height):
    """A file whose header says that it is of another size."""
    content = bytearray(content)
    place, length, order = {
        "JPEG": (content.find(b"\xff\xc0") + 5, 2, "big"),
        "PNG": (16, 4, "big"),
        "GIF": (6, 2, "little"),
        "BMP": (18, 4, "little"),
    }[form]
    sides = (height, width) if form == "JPEG" else (width, height)
    for side in sides:
        content[place : place + length] = side.to_bytes(
            length, order, signed=side < 0
        )
        place += length
    if form == "PNG":
        content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP"])
def test_sizes_are_known_before_decoding(make, tmp_path, form):
    path = tmp_path / "image"
    content = make.encode(make.noise(8, 8), form)
    path.write_bytes(content)
    assert check_file(path) == ("", False, (8, 8))
    path.write_bytes(forged(content, form, 9000, 9000))
    assert "9000x9000 pixels" in check_file(path).problem
    path.write_bytes(forged(content, form, 60000, 60000))
    assert "more than 67,108,864 pixels" in check_file(path).problem
    with pytest.raises(tf.errors.InvalidArgumentError, match="60000x60000"):
        decode(path.read_bytes(), 3)


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
        "5.bmp": forged(bmp, "BMP", -8, 8),
        "6.bmp": forged(bmp, "BMP", 0, 8),
        "7.bmp": make.encode(make.noise(8, 8), "BMP")[:-100],
    }


def test_bad_files_are_left_out_or_named(make, tmp_path):
    """One is left out, if it is found when the files are listed."""
    folder = tmp_path / "train" / "cat"
    fill(make, folder, 3)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name, content in bad_files(make).items():
        path = folder / f"bad-{name}"
        path.write_bytes(content)
        source = open_folder(tmp_path)
        if source.size > 3:
            with pytest.raises(data.DataError, match=path.name):
                data.load_arrays(source)
        path.unlink()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert peak - before < 1024 * MOST_MIB


def test_files_that_are_left_out_are_said(make, tmp_path, capsys):
    fill(make, tmp_path / "train", 2)
    bits = tmp_path / "train" / "bits.bmp"
    Image.new("1", (8, 8)).save(bits)
    assert open_folder(tmp_path).size == 2
    said = capsys.readouterr().err
    assert "1 of 3 image files cannot be decoded and are left out" in said
    assert "bits.bmp: the file is a BMP file of another" in said
    bits.unlink()
    large = tmp_path / "train" / "large.png"
    content = (tmp_path / "train" / "0.png").read_bytes()
    large.write_bytes(forged(content, "PNG", 9000, 9000))
    assert open_folder(tmp_path).size == 2
    assert f"{large}: 9000x9000 pixels, more than" in capsys.readouterr().err


@pytest.mark.parametrize("change", [os.remove, lambda p: open(p, "w").close()])
def test_an_image_that_changes_after_it_was_listed_is_named(
    make, tmp_path, change
):
    fill(make, tmp_path / "train" / "cat")
    source = open_folder(tmp_path)
    change(source.locate(0))
    with pytest.raises(data.DataError, match=source.locate(0)):
        data.load_arrays(source)


def test_files_that_are_too_long(tmp_path):
    path = tmp_path / "sparse.jpg"
    with open(path, "wb") as file:
        file.write(b"\xff\xd8\xff")
        file.truncate(10**10)
    assert "10,000,000,000 bytes, more than" in check_file(path).problem
