"""Folders of pictures, sorted: the page, the record, the model elsewhere."""

import json
import shutil

from keras_csc_cli import sort
from keras_csc_cli.command_line import UsageError

import keras
import numpy as np
import pytest
from PIL import Image

from keras_csc import data
from keras_csc.features import sorting
from keras_csc.pixels import from_pixels
from tests.helpers import runs
from tests.helpers.exporting import run_python

SIDE = 20
SCRIPT = """
import json, pathlib, sys
for name in ("keras", "keras_csc"):
    sys.modules[name] = None
import numpy as np
import tensorflow as tf
folder = pathlib.Path(sys.argv[1])
loaded = tf.saved_model.load(str(folder / "out" / "model" / "1")).signatures
files = sorted((folder / "pictures").rglob("*.png")) + [folder / "none"]
files = tf.constant([path.read_bytes() for path in files])
found = loaded["classify_bytes"](image_bytes=files)
vectors = loaded["embed_bytes"](image_bytes=files)["embedding"]
found = {name: value.numpy() for name, value in found.items()}
found["name"] = found["name"].astype("S")
del found["problem"]
np.savez(folder / "found.npz", vectors=vectors, **found)
"""


@pytest.fixture(autouse=True)
def few_filters(monkeypatch):
    monkeypatch.setattr(sorting, "FILTERS", 20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Stripes that stand and stripes that lie, and one in the wrong folder."""
    root = tmp_path_factory.mktemp("sort")
    rng = np.random.default_rng(0)
    for name, number in [(n, i) for n in ("<stand>", "lie") for i in range(15)]:
        wave = np.sin(
            rng.uniform(0, 6) + np.arange(SIDE) * rng.uniform(0.8, 1.2)
        )
        image = np.broadcast_to(wave, (SIDE, SIDE))
        if (name == "lie") == (number > 0):
            image = image.T
        image = 128 + 60 * image + 10 * rng.normal(size=image.shape)
        path = root / "pictures" / name / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.astype("uint8")).save(path)
    (root / "none").write_bytes(b"no picture")
    return root


def sort_pictures(pictures, output, **more):
    given = {"data_dir": pictures, "output": output, **more}
    return sort.main(runs.given("sort", **given))


def test_folders_are_sorted(folder, capsys):
    before = runs.contents(folder / "pictures")
    page = sort_pictures(folder / "pictures", folder / "out")
    assert runs.contents(folder / "pictures") == before
    report = json.loads((folder / "out" / "sorted.json").read_text())
    wrong = {
        each["file"]
        for each in report["pictures"]
        if max(each["probabilities"], key=each["probabilities"].get)
        != each["folder"]
    }
    # The two whose stripes are of the other folder.
    assert wrong == {"<stand>/0.png", "lie/0.png"}
    share = report["accuracy"]["share"]
    assert share == pytest.approx(28 / 30)
    # 1.96 √(28·2/30³ + 1.96²/(4·30²)) / (1 + 1.96²/30)
    assert report["accuracy"]["uncertainty"] == pytest.approx(0.09738, abs=1e-5)
    assert "held-out accuracy 0.93 ± 0.10" in capsys.readouterr().out
    for each in report["pictures"]:
        assert each["file"] not in [n["file"] for n in each["nearest"]]
    text = page.read_text()
    assert "&lt;stand&gt;" in text and "<stand>" not in text
    assert "0.93 ± 0.10" in text and len(text) < 6e6
    assert "twin" not in text
    with pytest.raises(ValueError, match="exists already"):
        sort_pictures(folder / "pictures", folder / "out")


def test_twins_are_told(folder, tmp_path):
    for name in ("<stand>", "lie"):
        copied = tmp_path / "pictures" / name
        shutil.copytree(folder / "pictures" / name, copied)
    shutil.copy(copied / "4.png", copied / "again.png")
    page = sort_pictures(tmp_path / "pictures", tmp_path / "out")
    assert "2 pictures have a twin" in page.read_text()


def test_the_model_is_the_same_elsewhere(folder):
    finished = run_python(["-c", SCRIPT, folder])
    assert finished.returncode == 0, finished.stderr
    model = keras.saving.load_model(folder / "out" / "model.keras")
    paths = sorted((folder / "pictures").rglob("*.png"))
    pixels = np.stack([np.array(Image.open(p).convert("RGB")) for p in paths])
    expected = model.predict(from_pixels(pixels), verbose=0)
    with np.load(folder / "found.npz") as found:
        np.testing.assert_allclose(
            found["probabilities"][:-1], expected, atol=1e-4
        )
        names = np.array([b"<stand>", b"lie"])[expected.argmax(1)]
        np.testing.assert_array_equal(found["name"][:-1], names)
        assert found["valid"].tolist() == [True] * 30 + [False]
        vectors = model.layers[0].embed(from_pixels(pixels))
        np.testing.assert_allclose(found["vectors"][:-1], vectors, atol=1e-4)


def test_evidence_is_of_the_classifier_that_did_not_see_it(folder):
    """It adds up to what that one says, but for the mean of all pictures."""
    source = sort._opened(folder / "pictures", SIDE)
    images, labels = data.load_arrays(source)
    found = sorting.sort_pictures(
        images, labels, source.class_names, list(source.files)
    )
    number = int(sorting.doubts(found)[0])
    label = 1 - labels[number]
    layer = found.ridge.layers[found.ridge.fold_of[number]]
    kernel, bias = layer.get_weights()
    logarithms = np.log(found.ridge.probabilities[number])
    expected = logarithms[label] - logarithms[labels[number]]
    expected -= bias[label] - bias[labels[number]]
    shares = sorting.evidence(found, number, label)
    assert shares.shape == (SIDE, SIDE)
    np.testing.assert_allclose(shares.sum(), expected, rtol=1e-3)


@pytest.mark.parametrize("side, seen", [(3, 12), (20, 20), (99, 64)])
def test_squares_are_as_large_as_pictures_within_limits(tmp_path, side, seen):
    for number in range(4):
        path = tmp_path / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (side, side + 9)).save(path)
    assert sort._opened(tmp_path, None).image_shape == (seen, seen, 3)


def test_pictures_without_folders_are_grouped(folder, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for path in (folder / "pictures").rglob("*.png"):
        name = f"{path.parent.name.strip('<>')}-{path.name}"
        (pictures / name).write_bytes(path.read_bytes())
    page = sort_pictures(pictures, tmp_path / "out", groups=2)
    report = json.loads((tmp_path / "out" / "sorted.json").read_text())
    stand = {
        each["folder"]
        for each in report["pictures"]
        if each["file"].startswith("stand") != each["file"].endswith("-0.png")
    }
    assert len(stand) == 1 and "accuracy" not in report
    assert "group 1" in page.read_text()


@pytest.mark.parametrize(
    "names, message",
    [
        (["a/1.png", "a/2.png", "b/1.png"], "has 3 pictures"),
        (["a/1.png", "a/2.png", "a/3.png", "b/1.png"], "one picture in b"),
        (["a/1.png", "a/2.png", "a/3.png", "a/4.png"], "two folders or more"),
        (["train/a/1.png", "test/a/2.png"], "divided into train, test"),
    ],
)
def test_mistakes_are_named(tmp_path, names, message):
    pictures = runs.write_pictures(tmp_path / "pictures", names)
    with pytest.raises((UsageError, data.DataError), match=message):
        sort_pictures(pictures, tmp_path / "out")
    assert not (tmp_path / "out").exists()
