"""`training/evaluate.py` on an untrained run: each figure under its name."""

import functools
import json
import os
import shutil
import types

from keras_csc_cli import building
from keras_csc_cli import evaluate
from keras_csc_cli import results
from keras_csc_cli import train_options
from keras_csc_cli.building import Splits

import numpy as np
import pytest
import tensorflow as tf

from keras_csc import data
from keras_csc import evaluation
from keras_csc import metrics
from keras_csc.evaluation.evaluating import Evaluation
from keras_csc.generation import FeatureDensity
from keras_csc.models import ClosedLoopAutoencoder
from tests.helpers import runs

pytestmark = pytest.mark.usefixtures("eager")

IMAGES = 120


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run whose model has its first weights."""
    path = tmp_path_factory.mktemp("runs") / "digits"
    return runs.untrained(path)


@pytest.fixture(scope="module", autouse=True)
def short_training():
    """Classifiers are small, and trained for few steps."""
    small = functools.partial(evaluation.ImageClassifier, filters=(8, 16))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "ImageClassifier", small)
        patch.setattr(results, "STEPS", 20)
        patch.setattr(building, "MOST_IMAGES", IMAGES)
        yield


@pytest.fixture(scope="module")
def model(run):
    return ClosedLoopAutoencoder.from_preset(run / "model")


def arrays(split):
    """The images that are evaluated, in [-1, 1], and their labels."""
    source = data.open_dataset("digits", split, (16, 16, 1))
    images, labels = data.load_arrays(source, IMAGES)
    return images / 127.5 - 1.0, labels


@pytest.fixture(scope="module")
def default_figures(run):
    """Figures of an evaluation without arguments, and what it wrote."""
    figures = evaluate.evaluate(run)
    return figures, json.loads((run / "evaluation.json").read_text())


@pytest.fixture(scope="module")
def measured(run, tmp_path_factory):
    """A run's folder and all figures."""
    folder = shutil.copytree(run, tmp_path_factory.mktemp("run") / "measured")
    # Traced: of many operations, for many samples.
    tf.config.run_functions_eagerly(False)
    names = ["classes", "classifier", "samples"]
    figures = evaluate.evaluate(folder, metrics=names)
    tf.config.run_functions_eagerly(True)
    return folder, figures


@pytest.fixture
def unmeasured(model, default_figures, monkeypatch):
    """Evaluations read no images, say the default figures, and draw noise:
    which files they write is what matters."""

    def measure(*arguments, codes, **others):
        figures = dict(default_figures[0])
        if codes:
            figures["codes"] = {"numbers": [1]}
        return Evaluation(figures, None, None, None)

    def draw(*arguments):
        folder = arguments[-1]
        folder.mkdir(exist_ok=True)
        (folder / "evaluation.png").write_bytes(os.urandom(8))

    def load(source, limit):
        return [range(min(source.size, limit))] * 2

    monkeypatch.setattr(building, "trained_model", lambda folder: model)
    monkeypatch.setattr(data, "load_arrays", load)
    monkeypatch.setattr(evaluation, "evaluate", measure)
    monkeypatch.setattr(evaluation, "draw", draw)


def test_default_figures_agree_with_the_model(run, model, default_figures):
    figures, written = default_figures
    assert figures == written
    images, labels = arrays("test")
    made = model.predict(images, verbose=0)
    distances = np.linalg.norm(
        made.reshape(IMAGES, 1, -1) - images.reshape(1, IMAGES, -1), axis=-1
    )
    expected = np.mean(np.argmin(distances, axis=1) == range(IMAGES))
    assert figures["pixel_retrieval"] == pytest.approx(expected)
    assert 0.2 < figures["linear_probe_accuracy"] <= 1
    assert abs(figures["ssim"]) < 1
    assert figures["distributions"] == [] and "codes" not in figures
    assert "same class" not in results.lines(figures, "out")[0]


def test_classifiers_of_features_are_given_both_splits(measured, model):
    """And features of regenerated images."""
    folder, figures = measured
    (train, train_labels), (images, labels) = map(arrays, ("train", "test"))
    again = model.predict(images, verbose=0)
    first, second, made = (
        np.asarray(model.encode(x)) for x in (train, images, again)
    )
    subspace, seen = metrics.nearest_subspace_accuracy, (first, train_labels)
    assert figures["nearest_subspace_components"] == 10
    for name, value in (
        ("nearest_subspace", subspace(*seen, second, labels, 10)),
        ("reconstructed_nearest_subspace", subspace(*seen, made, labels, 10)),
        (
            "centered_knn",
            metrics.knn_accuracy(*seen, second, labels, centered=True),
        ),
    ):
        close = pytest.approx(value, abs=2.1 / IMAGES)
        assert figures[f"{name}_accuracy"] == close, name
    assert figures["psnr_of"]["pca_components"] == 16
    assert figures["psnr_of"]["training_images"] == IMAGES


def test_samples_are_of_a_density_that_is_fitted_now(measured, model):
    folder, figures = measured
    found = figures["samples"]
    train, labels = arrays("train")
    density = FeatureDensity.fit(model.encode(train), labels)
    assert found["density"] == density.get_config()
    assert found["images"] == IMAGES
    names = {path.name for path in (folder / "pictures").iterdir()}
    assert {"samples.png", "interpolation.png", "samples_nearest.png"} <= names


def test_the_classifier_measures_and_is_trained_once(
    measured, model, monkeypatch
):
    folder, figures = measured
    path = folder / "classifiers" / "digits_16x16x1.keras"
    classifier = evaluation.classifier_extractor(path)
    assert classifier.about["steps"] == 20
    assert figures["classifier"] == classifier.name
    images = arrays("test")[0]
    made = model.predict(images, verbose=0)
    lines = results.lines(figures, "out")
    (found,) = figures["distributions"]
    expected = metrics.frechet_distance(
        classifier(images)[0], classifier(made)[0]
    )
    assert found["frechet_distance"] == pytest.approx(expected, rel=1e-3)
    assert found["network"]["name"] == classifier.name
    lines = [each for each in lines if each.startswith(f"{classifier.name}: ")]
    assert f"frechet distance {found['frechet_distance']:.4g}" in lines[0]
    monkeypatch.setattr(evaluation, "fit_classifier", pytest.fail)
    (other,) = evaluate.evaluate(
        folder, metrics=["classifier"], split="validation"
    )["distributions"]
    assert other["split"] == "validation"


def test_a_classifier_needs_labels(monkeypatch):
    options = train_options.parse(["--dataset=digits", "--preset=digits"])
    source = types.SimpleNamespace(num_classes=None)
    monkeypatch.setattr(data, "open_dataset", lambda *_, **__: source)
    with pytest.raises(ValueError, match="need labels.*'digits' has none"):
        building.check_metrics(["classes"], Splits(options), None)


def test_a_few_images_have_no_neighbours(run):
    for metric in ("classifier", "samples"):
        with pytest.raises(ValueError, match="more than 3 images, and have 2"):
            evaluate.evaluate(run, metrics=[metric], evaluation_limit=2)


def test_other_images_have_a_new_folder(run, tmp_path, unmeasured):
    before = runs.contents(run)
    folder = tmp_path / "other"
    for split, count in (("train", 30), ("test", 20)):
        names = [f"{split}/all/{number}.png" for number in range(count)]
        runs.write_pictures(folder, names)
    other = {"dataset": "image_folder", "data_dir": str(folder)}
    for given, images in (
        (other, 20),
        ({"split": "validation"}, 70),
        ({"evaluation_limit": 9}, 9),
    ):
        output = tmp_path / f"of-{images}"
        found = evaluate.evaluate(run, output=output, **given)
        written = json.loads((output / "evaluation.json").read_text())
        assert found == written and written["images"] == images
        assert (output / "pictures" / "evaluation.png").exists()
        said = f"{images} of the {max(images, found['images_of_split'])} images"
        assert said in results.lines(found, output)[-1]
        with pytest.raises(ValueError, match="exists already"):
            evaluate.evaluate(run, output=output, **given)
    with pytest.raises(ValueError, match="is not for --dataset=digits"):
        evaluate.evaluate(run, data_dir=str(folder))
    assert runs.contents(run) == before


def test_an_evaluation_replaces_the_one_before(run, tmp_path, unmeasured):
    run = shutil.copytree(run, tmp_path / "run")
    picture = run / "pictures" / "evaluation.png"
    for names in (["codes"], []):
        before = picture.read_bytes()
        figures = evaluate.evaluate(run, metrics=names)
        assert figures == json.loads((run / "evaluation.json").read_text())
        assert ("codes" in figures) == bool(names)
        assert picture.read_bytes() != before
