import re
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_csc import data
from keras_csc.data.sources import traced
from keras_csc.data.tfds import check_features

SHAPE = (32, 32, 3)


def labels_of(source):
    return list(data.load_arrays(source)[1])


def test_splits_of_cifar10(cifar_dir):
    train = data.open_dataset("cifar10", "train", SHAPE, cifar_dir, 0.3)
    held = data.open_dataset("cifar10", "validation", SHAPE, cifar_dir, 0.3)
    test = data.open_dataset("cifar10", "test", SHAPE, cifar_dir)
    assert (train.size, held.size, test.size) == (70, 30, 10)
    images = data.load_arrays(train)[0]
    np.testing.assert_array_equal(images[:, 0, 0, 0], range(70))
    images = data.load_arrays(held)[0]
    np.testing.assert_array_equal(images[:, 0, 0, 0], range(70, 100))
    assert train.num_classes == len(train.class_names) == 10
    assert (train.name, held.split) == ("cifar10", "validation")


def imagenet_example(image, label, index):
    return {"image": image, "label": label, "file_name": f"{index}.JPEG"}


def test_imagenet_with_images_of_different_sizes(make, tmp_path):
    sizes = [(64, 64), (100, 80), (70, 130), (62, 64)]
    make.write_tfds(
        "imagenet2012",
        tmp_path,
        {
            "train": [(make.noise(*s), i) for i, s in enumerate(sizes)],
            "validation": [(make.noise(64, 64), 7)],
        },
        make=imagenet_example,
    )
    train = data.open_dataset(
        "imagenet2012", "train", (64, 64, 3), tmp_path, 0, random_crop=True
    )
    assert train.num_classes == 1000
    assert train.random_crop
    images, labels = data.load_arrays(train)
    assert images.shape == (4, 64, 64, 3)
    np.testing.assert_array_equal(images[0], make.noise(64, 64))
    np.testing.assert_array_equal(images[3, 1:-1], make.noise(62, 64))
    epochs = tf.data.Dataset.range(4).flat_map(
        traced(lambda epoch: train.epoch(0, epoch))
    )
    epochs = list(epochs.as_numpy_iterator())
    assert len({x.tobytes() for x, y in epochs if y == 0}) == 1
    crops = {x.tobytes() for x, y in epochs if y == 1}
    assert len(crops) > 2
    test = data.open_dataset("imagenet2012", "test", (64, 64, 3), tmp_path)
    assert labels_of(test) == [7]
    held = data.open_dataset(
        "imagenet2012", "validation", (64, 64, 3), tmp_path, 0.5, False, True
    )
    assert not held.random_crop


def test_stl10_trains_on_its_unlabelled_images(make, tmp_path):
    make.write_tfds(
        "stl10",
        tmp_path,
        {
            "train": [(make.noise(96, 96), 1)] * 2,
            "test": [(make.noise(96, 96), 2)] * 3,
            "unlabelled": [(make.noise(96, 96), -1)] * 4,
        },
    )
    train = data.open_dataset("stl10", "train", (48, 48, 3), tmp_path, 0.25)
    test = data.open_dataset("stl10", "test", (48, 48, 3), tmp_path)
    assert labels_of(train) == [-1] * 3
    assert labels_of(test) == [2] * 3
    assert train.num_classes is None
    assert train.class_names is None
    assert test.num_classes == 10


def test_lsun_has_no_labels_and_no_test_split(make, tmp_path):
    make.write_tfds(
        "lsun/bedroom",
        tmp_path,
        {"validation": [(make.noise(40, 50), 0)] * 2},
        make=lambda image, _, index: {"id": str(index), "image": image},
    )
    test = data.open_dataset("lsun/bedroom", "test", SHAPE, tmp_path)
    assert labels_of(test) == [-1, -1]
    assert test.num_classes is None
    with pytest.raises(data.DataError, match="bedroom has no split 'train'"):
        data.open_dataset("lsun/bedroom", "train", SHAPE, tmp_path)


def test_missing_data_names_folder_and_command(tmp_path):
    with pytest.raises(data.DataError) as error:
        data.open_dataset("cifar10", "train", SHAPE, tmp_path)
    message = str(error.value)
    assert f"nothing at {tmp_path}/cifar10/3.0.2" in message
    assert f"`tfds build cifar10 --data_dir={tmp_path}`" in message
    assert message.endswith(", or with download=True.")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cifr10", "Unknown data set 'cifr10': did you mean cifar10"),
        ("hugging:mn", "Unknown data set .* expected a TFDS name or"),
        ("lsun/nope", "BuilderConfig nope not found"),
        ("cifar10:9.9.9", "cannot be loaded at version 9.9.9"),
    ],
)
def test_wrong_names(name, message, tmp_path):
    with pytest.raises(data.DataError, match=message) as error:
        data.open_dataset(name, "train", SHAPE, tmp_path)
    assert "\n" not in str(error.value)


def test_images_of_floats_are_refused():
    """Their bits are stored, and would be taken for colours."""
    image = tfds.features.Image(shape=(4, 4, 1), dtype=np.float32)
    features = tfds.features.FeaturesDict({"image": image})
    with pytest.raises(data.DataError, match="uint16.*float32"):
        check_features("mine", features, SHAPE)


@pytest.mark.parametrize(
    "name, shape, download, message",
    [
        ("mnist", SHAPE, False, "not prepared"),
        ("mnist", SHAPE, True, "cannot open .* no route to host"),
        ("glue/cola", SHAPE, True, "feature 'image'.*: None"),
        ("cifar10", (8, 8, 1), True, "have 3 channels.*asks for 1"),
    ],
)
def test_only_what_is_wanted_and_fits_is_downloaded(
    monkeypatch, tmp_path, name, shape, download, message
):
    def fail(self, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    with pytest.raises(data.DataError, match=message):
        data.open_dataset(name, "train", shape, tmp_path, download=download)


# === Damage ===


@pytest.fixture
def copied(cifar_dir, tmp_path):
    shutil.copytree(f"{cifar_dir}/cifar10", tmp_path / "cifar10")
    return tmp_path


def record_file(folder, number):
    return sorted(folder.glob("cifar10/3.0.2/*train.tfrecord*"))[number]


def test_missing_and_cut_files_are_found_when_opened(copied):
    path = record_file(copied, 2)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(
        data.DataError, match=f"{path.name} holds 24 whole .* says 25"
    ):
        data.open_dataset("cifar10", "train", SHAPE, copied)
    path.unlink()
    with pytest.raises(data.DataError, match=f"{path.name} is missing"):
        data.open_dataset("cifar10", "train", SHAPE, copied)


def test_damaged_records_are_named_when_read(copied):
    path = record_file(copied, 1)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    source = data.open_dataset("cifar10", "train", SHAPE, copied, 0)
    with pytest.raises(data.DataError, match=rf"record \d+ of .*{path.name}"):
        data.check_readable(source)
    # What is damaged is not read for other parts.
    held = data.open_dataset("cifar10", "validation", SHAPE, copied, 0.25)
    data.check_readable(held)


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda image: image[: len(image) // 2], ""),
        (
            lambda image: image[:16] + b"\0\0\x75\x30" * 2 + image[24:],
            "30000x30000 pixels",
        ),
    ],
    ids=["cut", "large"],
)
def test_images_that_do_not_decode_are_named(make, tmp_path, damage, message):
    def broken(image, label, index):
        image = damage(image) if index == 3 else image
        return make.cifar_example(image, label, index)

    path = make.write_tfds(
        "cifar10",
        tmp_path,
        {"train": [(make.noise(32, 32), 0)] * 6},
        make=broken,
    )
    source = data.open_dataset("cifar10", "train", SHAPE, tmp_path, 0)
    match = re.escape(f"record 3 of {path}") + f".*{message}"
    with pytest.raises(data.DataError, match=match):
        data.load_arrays(source)


@pytest.mark.parametrize("old, new", [('"25"', '"-5"'), ('"splits": [', "{")])
def test_damaged_descriptions_are_one_line(copied, old, new):
    path = copied / "cifar10" / "3.0.2" / "dataset_info.json"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(data.DataError, match="cifar10") as error:
        data.open_dataset("cifar10", "train", SHAPE, copied, 0)
    assert "\n" not in str(error.value)


def test_labels_out_of_range_are_named(copied):
    folder = copied / "cifar10" / "3.0.2"
    (folder / "label.labels.txt").write_text("cat\ndog\n")
    source = data.open_dataset("cifar10", "train", SHAPE, copied, 0)
    assert source.class_names == ["cat", "dog"]
    with pytest.raises(
        data.DataError,
        match=re.escape(f"record 2 of {folder}") + ".*label 2 of 2 classes",
    ):
        data.load_arrays(source)
