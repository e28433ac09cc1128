"""Folders of pictures, sorted: the page, the record, the model elsewhere."""

import html
import json
import re
import shutil

from keras_csc_cli import sort
from keras_csc_cli.command_line import UsageError

import keras
import numpy as np
import pytest
from PIL import Image

from keras_csc import data
from keras_csc.features import sorting
from keras_csc.features.ridge import Ridge
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
    """Stripes that stand and stripes that lie, two of them misfiled."""
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
    page = sort_pictures(folder / "pictures", folder / "out", false_alarms=0.1)
    assert runs.contents(folder / "pictures") == before
    report = json.loads((folder / "out" / "sorted.json").read_text())
    doubtful = {e["file"]: e for e in report["pictures"] if e["doubtful"]}
    # The two whose stripes are of the other folder.
    assert doubtful.keys() == {"<stand>/0.png", "lie/0.png"}
    assert report["doubts"] == {"count": 2, "if_filed_rightly": 3}
    for each in report["pictures"]:
        shares = each["probabilities"]
        other = "lie" if each["folder"] == "<stand>" else "<stand>"
        assert each["other_folder"] == other
        assert each["probability"] == pytest.approx(
            shares[each["folder"]], abs=1e-4
        )
        assert each["other_probability"] == pytest.approx(
            shares[other], abs=1e-4
        )
    share = report["accuracy"]["share"]
    assert share == pytest.approx(28 / 30)
    # 1.96 √(28·2/30³ + 1.96²/(4·30²)) / (1 + 1.96²/30)
    assert report["accuracy"]["uncertainty"] == pytest.approx(0.09738, abs=1e-5)
    printed = capsys.readouterr().out
    assert "held-out accuracy 0.93 ± 0.10" in printed
    assert "2 of 30 pictures are doubtful\nUp to 3 would be" in printed
    for each in report["pictures"]:
        assert each["file"] not in [n["file"] for n in each["nearest"]]
    text = page.read_text()
    assert "&lt;stand&gt;" in text and "<stand>" not in text
    assert "0.93 ± 0.10" in text and len(text) < 6e6
    assert "twin" not in text
    # A doubtful picture, three of the other folder, and three of its own.
    for shown in re.findall('<figure class="doubt">(.*?)</figure>', text, re.S):
        files = html.unescape(" ".join(re.findall('alt="(.*?)"', shown)))
        first, *alike = files.split()
        own, other = doubtful.pop(first)["folder"], ["lie", "<stand>"]
        other.remove(own)
        folders = [file.split("/")[0] for file in alike]
        assert folders == [*other * 3, *[own] * 3] and first not in alike
    assert not doubtful
    with pytest.raises(ValueError, match="exists already"):
        sort_pictures(folder / "pictures", folder / "out")


@pytest.fixture
def unexported(monkeypatch):
    monkeypatch.setattr(sort, "export_features", lambda *arguments: None)


def test_twins_are_told(folder, tmp_path, unexported):
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


def test_alike_are_pictures_of_like_features_and_scores(folder):
    """The scores are of the classifiers that did not see the pictures."""
    source = sort._opened(folder / "pictures", SIDE)
    images, labels = data.load_arrays(source)
    found = sorting.sort_pictures(
        images, labels, source.class_names, list(source.files)
    )
    features = found.features.predict(from_pixels(images), verbose=0)
    scores = np.empty((30, 2))
    for number, fold in enumerate(found.ridge.fold_of):
        kernel, bias = found.ridge.layers[fold].get_weights()
        scores[number] = features[number] @ kernel + bias
    scores -= scores.mean(1, keepdims=True)
    scores /= np.linalg.norm(scores, axis=1, keepdims=True)
    vectors = np.asarray(found.features.vectors(features))
    expected = (vectors @ vectors.T + scores @ scores.T) / 2
    np.testing.assert_allclose(
        found.vectors @ found.vectors.T, expected, atol=1e-4
    )
    np.fill_diagonal(expected, -1)
    np.testing.assert_array_equal(found.nearest[:, 0], expected.argmax(1))


@pytest.mark.parametrize("share", [0, 0.07, 0.29, 1])
@pytest.mark.parametrize("misfiled", [0, 20])
def test_no_more_are_doubtful_than_false_alarms_are_allowed(share, misfiled):
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([0.5] * 4, 100).astype("float32")
    labels = np.array([rng.choice(4, p=p / p.sum()) for p in probabilities])
    labels[:misfiled] = (labels[:misfiled] + 1) % 4
    probabilities[0] = np.eye(4)[(labels[0] + 1) % 4]  # its folder has 0
    ridge = Ridge(None, None, None, probabilities, None)
    doubts = sorting.doubts(labels, ridge, share)
    own = probabilities[np.arange(100), labels]
    otherwise = np.flatnonzero(own < probabilities.max(1))
    assert doubts.most == round(100 * share)
    assert len(doubts.numbers) == min(doubts.most, len(otherwise))
    assert set(doubts.numbers) <= set(otherwise)
    likeliest = probabilities.max(1)[otherwise]
    np.testing.assert_allclose(doubts.other[otherwise], likeliest)
    np.testing.assert_allclose(doubts.own[1:], own[1:])
    assert np.isfinite(doubts.ratio).all()
    ratios = doubts.ratio[doubts.numbers]
    assert (np.diff(ratios) <= 0).all()
    others = np.delete(doubts.ratio, doubts.numbers)
    assert ratios.min(initial=np.inf) >= others.max()


@pytest.mark.parametrize("side, seen", [(3, 12), (20, 20), (99, 64)])
def test_squares_are_as_large_as_pictures_within_limits(tmp_path, side, seen):
    for number in range(4):
        path = tmp_path / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (side, side + 9)).save(path)
    assert sort._opened(tmp_path, None).image_shape == (seen, seen, 3)


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
