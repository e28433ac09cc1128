"""Folders of images: their splits and classes, and what counts in them."""

import os
import shutil
import socket

import numpy as np
import pytest

from keras_csc import data
from keras_csc.data.image_files import LeftOut
from keras_csc.data.image_files import find_images

SHAPE = (8, 8, 3)


def fill(make, root, folders, count, first=0):
    for folder in folders:
        for i in range(first, first + count):
            path = root / folder / f"{i}.png"
            make.write_image(str(path), make.noise(8, 8, seed=i))


def open_folder(root, split="train", shape=SHAPE, fraction=0.0):
    return data.open_dataset("image_folder", split, shape, root, fraction)


def paths(source):
    return {source.locate(i) for i in range(source.size)}


def names(source):
    return sorted(os.path.basename(path) for path in paths(source))


# === Splits and classes ===


def test_train_and_test_folders(make, tmp_path):
    fill(make, tmp_path, ["train/cat", "train/dog", "test/cat", "test/dog"], 10)
    train = open_folder(tmp_path, fraction=0.2)
    held = open_folder(tmp_path, "validation", fraction=0.2)
    test = open_folder(tmp_path, "test")
    assert (train.size, held.size, test.size) == (16, 4, 20)
    assert train.class_names == test.class_names == ["cat", "dog"]
    assert train.num_classes == 2
    assert not paths(train) & paths(held)
    images, labels = data.load_arrays(train)
    for i in range(train.size):
        path = train.locate(i)
        assert train.class_names[labels[i]] in path
        number = int(path.rpartition("/")[2].partition(".")[0])
        np.testing.assert_array_equal(images[i], make.noise(8, 8, seed=number))
    assert set(labels[:8]) == {0, 1}


def test_validation_images_of_a_divided_set(make, tmp_path, capsys):
    """They are all for validation; without `test` they are for tests."""
    for first, part in enumerate(("train", "val", "test")):
        fill(make, tmp_path, [f"{part}/cat"], 8 - 2 * first, 10 * first)
    fill(make, tmp_path, ["valid"], 1)
    sources = [
        open_folder(tmp_path, split, fraction=0.5)
        for split in ("train", "validation", "test")
    ]
    assert [source.size for source in sources] == [8, 6, 4]
    for source, part in zip(sources, ("train", "val", "test")):
        assert all(p.startswith(f"{tmp_path / part}/") for p in paths(source))
        assert source.class_names == ["cat"]
    assert "1 beside train, val, test (valid)" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "test")
    (tmp_path / "val").rename(tmp_path / "validation")
    assert open_folder(tmp_path, "test").size == 6


def test_unlabelled_training_images_have_unlabelled_tests(make, tmp_path):
    fill(make, tmp_path, ["train", "test/cat"], 2)
    source = open_folder(tmp_path, "test")
    assert source.class_names is None
    assert list(source.labels) == [-1, -1]


def test_names_of_classes_count_in_one_normal_form(make, tmp_path):
    """macOS may write two characters where Linux writes one."""
    one, two = "caf\u00e9", "cafe\u0301"
    fill(make, tmp_path, [f"train/{one}", f"test/{two}"], 3)
    train, test = open_folder(tmp_path), open_folder(tmp_path, "test")
    assert train.class_names == test.class_names == [one]
    assert set(test.labels.numpy()) == {0}
    for name in (one, two):
        fill(make, tmp_path / name[-1], [name], 20)
    first, second = (
        [open_folder(tmp_path / name[-1], split) for split in ("train", "test")]
        for name in (one, two)
    )
    for mine, other in zip(first, second):
        assert mine.identity() == other.identity()


def test_class_folders_are_divided_by_hash(make, tmp_path):
    fill(make, tmp_path, ["cat", "dog/brown"], 60)
    train, test = open_folder(tmp_path), open_folder(tmp_path, "test")
    assert train.class_names == ["cat", "dog"]
    assert train.size + test.size == 120
    assert 4 <= test.size <= 24
    before = paths(test)
    fill(make, tmp_path, ["bird"], 20)
    assert before <= paths(open_folder(tmp_path, "test"))


@pytest.mark.parametrize(
    "folders, arguments, message",
    [
        ([], {}, "No images in"),
        ([], {"root": "nowhere"}, "No such folder: .*nowhere"),
        ([], {"root": None}, "needs data_dir"),
        (["test/cat"], {}, "none called 'train'"),
        (["Train/cat", "Test/cat"], {"split": "test"}, "none called 'train'"),
        (["cat", "."], {}, "next to class folders"),
        (["train/cat"], {"split": "test"}, "no test images: expected one of"),
        (["train/cat"], {"split": "validation"}, "No examples .* 'validation'"),
        (["train/c", "test/dog"], {"split": "test"}, "training images: dog"),
    ],
)
def test_folders_that_are_refused(make, tmp_path, folders, arguments, message):
    fill(make, tmp_path, folders, 3)
    root = arguments.get("root", ".")
    root = None if root is None else tmp_path / root
    with pytest.raises(data.DataError, match=message):
        open_folder(root, arguments.get("split", "train"))


def test_a_split_for_which_no_image_is_left(make, tmp_path):
    fill(make, tmp_path, ["cat"], 1)
    empty = "test" if open_folder(tmp_path).size else "train"
    with pytest.raises(data.DataError, match=f"'{empty}'"):
        open_folder(tmp_path, empty)


# === What is found, once ===


def test_links_are_left_out_and_said(make, tmp_path, capsys):
    outside, root = tmp_path / "outside", tmp_path / "images"
    fill(make, outside, ["."], 1, 90)
    fill(make, root, ["train/cat"], 3)
    fill(make, root, ["train/dog"], 3, 10)
    cat = root / "train" / "cat"
    (cat / "up").symlink_to("..")
    (cat / "loop.png").symlink_to("loop.png")
    (cat / "dangling.png").symlink_to("nowhere.png")
    (cat / "device.png").symlink_to("/dev/zero")
    (cat / "dogs").symlink_to("../dog")
    (root / "train" / "bird").symlink_to(outside)
    source = open_folder(root)
    assert source.class_names == ["cat", "dog"]
    assert names(source) == sorted(f"{i}.png" for i in (0, 1, 2, 10, 11, 12))
    said = f"6 entries of {root} left out: 6 links ("
    assert said in capsys.readouterr().err
    open_folder(root)
    assert "left out" not in capsys.readouterr().err


def test_every_regular_file_is_found_once(make, tmp_path, monkeypatch):
    deep = f"cat/{'a/' * 200}x.png"
    expected = ["cat/0.png", "cat/a \n'\".png", deep, "cat/folder.png/0.png"]
    hidden = ["cat/.x.png", ".thumbnails/0.png"]
    for name in (*expected, *hidden):
        make.write_image(str(tmp_path / name), make.noise(8, 8))
    for name in (b"a.heic", b"notes.txt", b"\xff.png"):
        with open(os.fsencode(tmp_path) + b"/" + name, "wb"):
            pass
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "cat" / "x.png")
    (tmp_path / "secret").mkdir()

    def scandir(path, scan=os.scandir):
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with socket.socket(socket.AF_UNIX) as one:
        monkeypatch.chdir(tmp_path)
        one.bind("y.png")
        left_out = LeftOut(tmp_path)
        found = find_images(tmp_path, left_out)
    assert sorted(found) == sorted(expected)
    assert left_out.reasons == {
        "neither files nor folders": ["y.png", "cat/x.png"],
        "of a format that is not read": ["a.heic"],
        "with names that are not UTF-8": ["\udcff.png"],
        "unreadable: Permission denied": ["secret"],
    }
    assert r"(\xff.png)" in str(left_out)
    folder = os.fsencode(tmp_path) + b"/\xff"
    os.mkdir(folder)
    with pytest.raises(data.DataError, match="must be a name in UTF-8"):
        open_folder(os.fsdecode(folder))


def test_no_image_is_in_two_splits(make, tmp_path):
    fill(make, tmp_path, ["train/cat"], 3)
    fill(make, tmp_path, ["test/cat"], 3, 10)
    cat = tmp_path / "train" / "cat"
    os.link(cat / "0.png", tmp_path / "test" / "cat" / "0.png")
    os.link(cat / "1.png", cat / "again.png")
    assert names(open_folder(tmp_path)) == ["0.png", "1.png", "2.png"]
    test = open_folder(tmp_path, "test")
    assert names(test) == ["10.png", "11.png", "12.png"]


@pytest.mark.parametrize("target", ["train", "train/cat"])
def test_test_folder_within_the_training_folder(make, tmp_path, target):
    fill(make, tmp_path, ["train/cat"], 3)
    (tmp_path / "test").symlink_to(target)
    for split in ("train", "test"):
        with pytest.raises(data.DataError, match="share images"):
            open_folder(tmp_path, split)
