import types

import numpy as np
import pytest
import sklearn.datasets
from PIL import Image

from keras_csc import data
from keras_csc.data import embedded


def enlarge(image):
    image = Image.fromarray((image * (255 / 16)).astype(np.float32))
    return np.clip(image.resize((16, 16), Image.BICUBIC), 0, 255)


def test_digits_are_divided_and_stratified():
    sizes = {}
    seen = []
    for split in ("train", "validation", "test"):
        source = data.open_dataset("digits", split, (16, 16, 1))
        images, labels = data.load_arrays(source)
        sizes[split] = source.size
        seen.append(labels)
        assert images.shape == (source.size, 16, 16, 1)
        assert source.num_classes == 10
        assert source.class_names == list("0123456789")
    assert sizes == {"train": 1330, "validation": 70, "test": 397}
    assert np.ptp(np.bincount(seen[-1])) <= 2
    counts = np.bincount(np.concatenate(seen))
    target = sklearn.datasets.load_digits().target
    np.testing.assert_array_equal(counts, np.bincount(target))


def test_digits_are_the_originals_enlarged():
    source = data.open_dataset("digits", "test", (16, 16, 1))
    digits = sklearn.datasets.load_digits()
    enlarged = np.stack([enlarge(image) for image in digits.images])
    for image, label in zip(source.images.numpy()[:20, ..., 0], source.labels):
        distance = np.abs(enlarged - image).max((1, 2))
        assert distance.min() <= 1
        assert digits.target[distance.argmin()] == label


def test_photographs_of_different_splits_share_no_pixel(monkeypatch, tmp_path):
    """Of one whose pixels, at half its size, are the numbers of the columns."""
    package = types.SimpleNamespace(__file__=str(tmp_path / "package.py"))
    columns = np.broadcast_to(np.arange(480) // 2, (320, 480))
    Image.fromarray(columns.astype(np.uint8)).save(tmp_path / "columns.png")
    monkeypatch.setattr(
        embedded, "PHOTOGRAPHS", {"columns": (package, "columns.png")}
    )
    columns = {}
    for split in ("train", "validation", "test"):
        source = data.open_dataset("photographs", split, (32, 32, 3))
        columns[split] = set(data.load_arrays(source)[0].ravel())
    assert columns["train"] == set(range(128))
    assert columns["validation"] == set(range(128, 160))
    assert columns["test"] == set(range(160, 240))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(split="dev"), "split"),
        (dict(image_shape=(16, 16, 2)), "1 or 3 channels"),
        (dict(validation_fraction=1.0), r"\[0, 1\)"),
        (dict(split="validation", validation_fraction=0), "No examples"),
        (dict(name="photographs", image_shape=(400, 400, 3)), "does not fit"),
        (dict(name="photographs"), "have 3 channels"),
        (dict(resize=False), "image_folder"),
        (dict(name="digitz"), "did you mean digits"),
    ],
)
def test_wrong_arguments(arguments, message):
    defaults = dict(name="digits", split="train", image_shape=(16, 16, 1))
    with pytest.raises(ValueError, match=message):
        data.open_dataset(**(defaults | arguments))
