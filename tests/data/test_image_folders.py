import shutil

import numpy as np
import pytest
from PIL import Image

from keras_csc import data

SHAPE = (8, 8, 3)


def fill(make, root, folders, count, extension="png"):
    for folder in folders:
        for i in range(count):
            path = root / folder / f"{i}.{extension}"
            make.write_image(str(path), make.noise(8, 8, seed=i))


def open_folder(root, split="train", shape=SHAPE, fraction=0.0, **options):
    return data.open_dataset(
        "image_folder", split, shape, str(root), fraction, **options
    )


def paths(source):
    return {source.locate(i) for i in range(source.size)}


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


def test_validation_images_of_a_divided_set(make, tmp_path):
    """They are all for validation; without `test` they are for tests."""
    for first, part in enumerate(("train", "val", "test")):
        for i in range(10 * first, 10 * first + 8 - 2 * first):
            path = tmp_path / part / "cat" / f"{i}.png"
            make.write_image(str(path), make.noise(8, 8, seed=i))
    sources = [
        open_folder(tmp_path, split, fraction=0.5)
        for split in ("train", "validation", "test")
    ]
    assert [source.size for source in sources] == [8, 6, 4]
    for source, part in zip(sources, ("train", "val", "test")):
        assert all(p.startswith(f"{tmp_path / part}/") for p in paths(source))
        assert source.class_names == ["cat"]
    shutil.rmtree(tmp_path / "test")
    (tmp_path / "val").rename(tmp_path / "validation")
    assert open_folder(tmp_path, "test").size == 6


def test_unlabelled_training_images_have_unlabelled_tests(make, tmp_path):
    fill(make, tmp_path, ["train", "test/cat"], 2)
    source = open_folder(tmp_path, "test")
    assert source.class_names is None
    assert list(source.labels) == [-1, -1]


def test_folders_beside_the_parts_are_said(make, tmp_path, capsys):
    fill(make, tmp_path, ["train/cat", "valid/cat", "test/cat"], 2)
    open_folder(tmp_path)
    said = "1 not called train, test, validation, val (valid)"
    assert said in capsys.readouterr().err


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


def test_flat_folders_have_no_labels(make, tmp_path):
    fill(make, tmp_path, ["."], 40, "jpg")
    (tmp_path / "notes.txt").write_text("not an image")
    source = open_folder(tmp_path)
    assert source.num_classes is None
    assert source.class_names is None
    assert set(source.labels.numpy()) == {-1}


@pytest.mark.parametrize("channels", [1, 3])
def test_every_format_is_read(tmp_path, channels):
    rows, columns = np.mgrid[:8, :8]
    grey = (rows * 20 + columns * 10).astype(np.uint8)
    image = Image.fromarray(grey)
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    folder = tmp_path / "train" / "all"
    folder.mkdir(parents=True)
    for extension in ("png", "bmp", "gif", "tif", "TIFF"):
        image.save(folder / f"a.{extension}")
    image.save(folder / "a.webp", lossless=True)
    image.convert("P").save(folder / "p.tif")
    image.convert("CMYK").save(folder / "c.jpg", quality=100)
    image.convert("RGB").save(folder / "b.tif", compression="tiff_lzw")
    deep.save(folder / "deep.png")
    deep.save(folder / "deep.tif")
    source = open_folder(tmp_path, shape=(8, 8, channels))
    images = data.load_arrays(source)[0]
    assert images.shape == (11, 8, 8, channels)
    for index, image in enumerate(images.astype(int)):
        error = np.abs(image - grey[..., None]).max()
        limit = 8 if source.locate(index).endswith("jpg") else 2
        assert error <= limit, source.locate(index)


# === Damage ===


def test_many_damaged_files_are_an_error(make, tmp_path):
    fill(make, tmp_path, ["train/cat"], 12)
    for i in (3, 5):
        path = tmp_path / "train" / "cat" / f"{i}.png"
        path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(data.DataError, match="2 of 12 .* cannot .*cat/"):
        open_folder(tmp_path)


def test_bytes_after_the_image_do_no_harm(make, tmp_path, capsys):
    fill(make, tmp_path, ["train/cat"], 3, "jpg")
    path = tmp_path / "train" / "cat" / "1.jpg"
    path.write_bytes(path.read_bytes() + b"camera notes")
    assert open_folder(tmp_path).size == 3
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "folders, arguments, message",
    [
        ([], {}, "No images in"),
        ([], {"root": "nowhere"}, "No such folder: .*nowhere"),
        ([], {"root": None}, "needs data_dir"),
        (["train/cat", "val/cat", "validation/cat"], {}, "both be for valid"),
        (["test/cat"], {}, "none called 'train'"),
        (["Train/cat", "Test/cat"], {"split": "test"}, "none called 'train'"),
        (["cat", "."], {}, "next to class folders"),
        (["train/cat"], {"split": "test"}, "no test images: expected one of"),
        (["train/cat"], {"split": "validation"}, "No examples .* 'validation'"),
        (
            ["train/cat", "test/dog"],
            {"split": "test"},
            "without training images: dog",
        ),
        (["train/cat"], {"shape": (8, 8, 1)}, "have 3 channels.*asks for 1"),
    ],
)
def test_folders_that_are_refused(make, tmp_path, folders, arguments, message):
    fill(make, tmp_path, folders, 3)
    root = arguments.get("root", ".")
    arguments = {
        "split": arguments.get("split", "train"),
        "image_shape": arguments.get("shape", SHAPE),
        "data_dir": None if root is None else tmp_path / root,
        "validation_fraction": 0.0,
    }
    with pytest.raises(data.DataError, match=message):
        data.open_dataset("image_folder", **arguments)


def test_a_split_for_which_no_image_is_left(make, tmp_path):
    fill(make, tmp_path, ["cat"], 1)
    empty = "test" if open_folder(tmp_path).size else "train"
    with pytest.raises(data.DataError, match=f"'{empty}'"):
        open_folder(tmp_path, empty)
