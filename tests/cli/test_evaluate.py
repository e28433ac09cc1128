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
from keras_csc_cli import workdir as workdirs
from keras_csc_cli.building import Splits

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy import linalg
from sklearn.decomposition import TruncatedSVD
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.preprocessing import normalize

from keras_csc import data
from keras_csc import evaluation
from keras_csc import metrics
from keras_csc.callbacks import TrainingCheckpoint
from keras_csc.evaluation import drawing
from keras_csc.evaluation.evaluating import Evaluation
from keras_csc.evaluation.quality import reconstruction_figures
from keras_csc.generation import FeatureDensity
from keras_csc.models import ClosedLoopAutoencoder
from tests.helpers import runs

pytestmark = pytest.mark.usefixtures("eager")

IMAGES = 120


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run whose model has its first weights."""
    path = tmp_path_factory.mktemp("runs") / "digits"
    return runs.untrained(path, f"--evaluation_limit={IMAGES}")


@pytest.fixture(scope="module", autouse=True)
def short_training():
    """Classifiers are small, and trained for few steps."""
    small = functools.partial(evaluation.ImageClassifier, filters=(8, 16))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "ImageClassifier", small)
        patch.setattr(results, "STEPS", 20)
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
    figures = evaluate.evaluate(run, {}, projector=True)
    return figures, json.loads((run / "evaluation.json").read_text())


@pytest.fixture(scope="module")
def measured(run, tmp_path_factory):
    """A run's folder and figures of all that needs no other weights."""
    folder = shutil.copytree(run, tmp_path_factory.mktemp("run") / "measured")
    # Traced: of many operations, for many samples.
    tf.config.run_functions_eagerly(False)
    names = ["codes", "classes", "classifier", "samples"]
    part = {"game": {"class_features": 6}}
    figures = evaluate.evaluate(folder, part, metrics=names)
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
    assert figures == {**written, "file": str(run / "evaluation.json")}
    images, labels = arrays("test")
    made = model.predict(images, verbose=0)
    distances = np.linalg.norm(
        made.reshape(IMAGES, 1, -1) - images.reshape(1, IMAGES, -1), axis=-1
    )
    expected = np.mean(np.argmin(distances, axis=1) == range(IMAGES))
    assert figures["pixel_retrieval"] == pytest.approx(expected)
    features = model.encode(images)
    ranks = [
        metrics.effective_rank(features[labels == label])
        for label in np.unique(labels)
    ]
    assert figures["class_effective_rank"] == pytest.approx(
        np.mean(ranks), rel=1e-4
    )
    assert 0 < figures["smallest_subspace_angle"] < figures["subspace_angle"]
    assert figures["subspace_angle"] < 90
    assert figures["subspace_components"] == min(8, *np.bincount(labels))
    assert 0.2 < figures["linear_probe_accuracy"] <= 1
    assert figures["ms_ssim"] is None and figures["ms_ssim_scales"] == 1
    assert figures["distributions"] == [] and "codes" not in figures
    assert "same class" not in results.lines(figures)[0]
    folder = run / "tensorboard" / "projector"
    projected = np.loadtxt(folder / "features.tsv")
    np.testing.assert_allclose(projected, features, atol=1e-5)
    assert (folder / "projector_config.pbtxt").is_file()


def test_ms_ssim_of_images_with_room_for_scales():
    preset = {"filters": [4, 4, 4], "feature_dim": 8, "sparsity": 0.05}
    model = ClosedLoopAutoencoder.from_preset(
        "cifar10", load_weights=False, **preset
    )
    images = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), "uint8")
    _, made, again, figures = reconstruction_figures(model, images)
    floats = (images / 127.5 - 1.0).astype("float32")
    expected = metrics.multiscale_structural_similarity(floats, made)
    assert figures["ms_ssim"] == pytest.approx(np.mean(expected), abs=1e-5)
    assert figures["ms_ssim_scales"] == 2
    np.testing.assert_allclose(made, model.predict(floats), atol=1e-5)
    np.testing.assert_allclose(again, model.encode(made), atol=1e-4)


def test_figures_beside_others_are_scikit_learns(measured, model):
    """The part for the classes, centred neighbours, regenerated features."""
    folder, figures = measured
    (train, train_labels), (images, labels) = map(arrays, ("train", "test"))
    features = [np.asarray(model.encode(part)) for part in (train, images)]
    again = np.asarray(model.encode(model.predict(images, verbose=0)))

    def neighbors(first, second):
        classifier = KNeighborsClassifier(5).fit(
            normalize(first - first.mean(0)), train_labels
        )
        return classifier.score(normalize(second - first.mean(0)), labels)

    def subspace(first, second, components):
        residuals = []
        for label in range(10):
            svd = TruncatedSVD(components, algorithm="arpack")
            basis = svd.fit(first[train_labels == label]).components_
            residuals.append(
                np.linalg.norm(second - second @ basis.T @ basis, axis=1)
            )
        return np.mean(np.argmin(residuals, axis=0) == labels)

    close = {"abs": 2.1 / IMAGES}
    expected = neighbors(*features)
    assert figures["centered_knn_accuracy"] == pytest.approx(expected, **close)
    parts = [normalize(each[:, :6]) for each in (*features, again)]
    found = figures["class_part"]
    assert found["features"] == 6 and found["nearest_subspace_components"] == 5
    assert figures["nearest_subspace_components"] == 10
    for name, value in (
        ("centered_knn_accuracy", neighbors(*parts[:2])),
        ("nearest_subspace_accuracy", subspace(*parts[:2], 5)),
        ("reconstructed_nearest_subspace_accuracy", subspace(*parts[::2], 5)),
    ):
        assert found[name] == pytest.approx(value, **close)
    for of, rows, tried in ((found, parts, "125"), (figures, features, "12")):
        for number in tried:
            assert of["nearest_subspace_by_components"][number] == (
                pytest.approx(subspace(*rows[:2], int(number)), **close)
            )
    assert list(found["nearest_subspace_by_components"]) == ["1", "2", "5"]
    assert found["linear_probe_accuracy"] > 0.2
    assert figures["psnr_of"]["pca_components"] == 16
    assert figures["psnr_of"]["training_images"] == IMAGES
    assert (folder / "pictures" / "class_part_similarity.png").exists()


def test_same_class_is_a_classifiers_word(measured, model):
    folder, figures = measured
    judge = evaluation.classifier_extractor(
        folder / "classifiers" / "digits_16x16x1.keras"
    )
    images, labels = arrays("test")
    made = model.predict(images, verbose=0)
    for name, each in (("same_class", made), ("same_class_of_images", images)):
        expected = np.mean(np.argmax(judge(each)[1], axis=1) == labels)
        assert figures[name] == pytest.approx(expected, abs=1.1 / IMAGES)
    assert figures["classifier"] == judge.name
    assert judge.about["steps"] == 20
    same = f"same class {figures['same_class']:.4g}, same class of images "
    assert same in results.lines(figures)[0]


def test_samples_are_of_a_density_that_is_fitted_now(measured, model):
    folder, figures = measured
    found = figures["samples"]
    train, labels = arrays("train")
    density = FeatureDensity.fit(model.encode(train), labels)
    assert found["density"] == density.get_config()
    assert found["images"] == IMAGES
    assert 0 <= found["same_class"] <= 1
    assert found["distribution"]["frechet_distance"] > 0
    names = {path.name for path in (folder / "pictures").iterdir()}
    assert {"samples.png", "interpolation.png", "samples_nearest.png"} <= names
    lines = results.lines(figures)
    (line,) = [line for line in lines if line.startswith("samples: ")]
    assert f"same class {found['same_class']:.4g}" in line


def test_classes_of_other_data_are_own_if_their_names_are(
    run, model, tmp_path, monkeypatch
):
    """Their numbers are those of one data set alone."""
    monkeypatch.setattr(building, "trained_model", lambda folder: model)
    run = shutil.copytree(run, tmp_path / "run")
    for place in range(8):
        name = ("one", "two")[place % 2]
        folder = tmp_path / "data" / ("train", "test")[place // 4] / name
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16)).save(folder / f"{place}.png")
    other = {"dataset": "image_folder", "data_dir": str(tmp_path / "data")}
    asked = []

    def measure(*arguments, own_classes, **others):
        asked.append(own_classes)
        raise ValueError("asked")

    monkeypatch.setattr(data, "load_arrays", lambda *arguments: ((), ()))
    monkeypatch.setattr(evaluation, "evaluate", measure)
    names = {"sessions": [], "class_names": ["one", "two"]}
    for replaced, record, own in (
        ({}, {}, True),
        (other, {}, False),
        (other, {**names, "class_names": ["1", "2"]}, False),
        (other, names, True),
    ):
        (run / "run.json").write_text(json.dumps(record))
        with pytest.raises(ValueError, match="asked"):
            evaluate.evaluate(run, replaced)
        assert asked.pop() is own


def test_probes_of_codes_are_scikit_learns(measured, model):
    probes = measured[1]["code_probes"]
    assert probes["numbers"] == [2 * 4 * 4, 2 * 4 * 8]
    parts = []
    for split in ("train", "test"):
        images, labels = arrays(split)
        images = tf.constant(images, tf.float32)
        codes = model.encoder.activations(images).codes[1]
        parts.append((np.asarray(metrics.pooled_codes(codes)), labels))
    (train, train_labels), (test, labels) = parts
    scaler = StandardScaler().fit(train)
    probe = LogisticRegression(max_iter=1000)
    probe.fit(scaler.transform(train), train_labels)
    expected = probe.score(scaler.transform(test), labels)
    accuracy = probes["linear_probe_accuracy"]
    assert accuracy[1] == pytest.approx(expected, abs=2 / IMAGES)
    assert min(accuracy) > 0.3
    neighbors = KNeighborsClassifier(n_neighbors=5).fit(train, train_labels)
    expected = neighbors.score(test, labels)
    assert probes["knn_accuracy"][1] == pytest.approx(expected, abs=2 / IMAGES)
    assert len(probes["nearest_subspace_accuracy"]) == 2


def test_classifier_is_trained_once_and_names_its_distance(
    measured, model, monkeypatch
):
    folder, figures = measured
    (found,) = figures["distributions"]
    extractor = evaluation.classifier_extractor(
        folder / "classifiers" / "digits_16x16x1.keras"
    )
    assert found["network"]["name"] == extractor.name
    assert "classifier of digits, test accuracy 0." in extractor.name
    images = arrays("test")[0]
    made = model.predict(images, verbose=0)
    real, other = (np.float64(extractor(x)[0]) for x in (images, made))
    eigenvalues = linalg.eigvals(np.cov(real.T) @ np.cov(other.T))
    expected = np.sum((real.mean(0) - other.mean(0)) ** 2)
    expected += np.trace(np.cov(real.T) + np.cov(other.T))
    expected -= 2 * np.sum(np.sqrt(eigenvalues.astype(complex)).real)
    assert found["frechet_distance"] == pytest.approx(expected, rel=1e-3)
    assert found["classifier_score"]["splits"] == 10
    name = f"{extractor.name}: "
    (line,) = [x for x in results.lines(figures) if x.startswith(name)]
    assert f"frechet distance {found['frechet_distance']:.4g}" in line
    monkeypatch.setattr(evaluation, "fit_classifier", pytest.fail)
    (other,) = evaluate.evaluate(
        folder, {}, metrics=["classifier"], split="validation"
    )["distributions"]
    assert other["split"] == "validation"


def pixels(images):
    features = tf.reduce_mean(images, axis=-1)
    features = tf.reshape(features[:, ::4, ::4], (-1, 16))
    return features, tf.nn.softmax(features)


def test_steps_of_ctrl(run, model, monkeypatch):
    """Training images; the score with another input than the distance."""

    def inception(path, ctrl_input=False):
        return evaluation.FeatureExtractor(
            lambda x: pixels(2 * x - 1 if ctrl_input else x),
            f"pixels of {path}{', input 2x - 1' * ctrl_input}",
            "inception_score",
            {},
        )

    monkeypatch.setattr(evaluation, "inception_extractor", inception)
    plain, ctrl = evaluate.evaluate(
        run, {}, metrics=["inception", "ctrl"], inception_weights="w.h5"
    )["distributions"]
    images = arrays("train")[0]
    made = model.predict(images, verbose=0)
    real, other = (pixels(2.0 * x - 1.0)[0] for x in (images, made))
    expected = metrics.frechet_distance(real, other)
    assert ctrl["frechet_distance"] == pytest.approx(expected, rel=1e-3)
    score = metrics.inception_score(pixels(made)[1])
    assert ctrl["inception_score"]["mean"] == pytest.approx(score[0], rel=1e-4)
    assert ctrl["split"] == "train" and plain["split"] == "test"
    assert ctrl["network"]["name"] == "pixels of w.h5, input 2x - 1"
    assert "precision" in plain and "precision" not in ctrl


def test_weights_that_are_missing_are_named(run, monkeypatch):
    def fail():
        raise Exception("URL fetch failure on https://example.org: None")

    monkeypatch.setattr(evaluation, "inception_weights", fail)
    for weights, message in (
        ("/nowhere.h5", "/nowhere.h5 is not a file of weights"),
        ("imagenet", "could not download.*PATH"),
    ):
        given = {"metrics": ["inception"], "inception_weights": weights}
        with pytest.raises(ValueError, match=message):
            evaluate.evaluate(run, {}, **given)


def test_classifier_of_other_data_is_refused(run, tmp_path):
    path = tmp_path / "other.keras"
    evaluation.ImageClassifier(
        (16, 16, 1), 10, filters=(4,), record={"dataset": "mnist"}
    ).save(path)
    arguments = {"metrics": ["classifier"], "classifier": path}
    with pytest.raises(ValueError, match="'mnist'.*this run has .*'digits'"):
        evaluate.evaluate(run, {}, **arguments)
    path.write_bytes(b"rubbish")
    with pytest.raises(ValueError, match="Remove it, or choose another"):
        evaluate.evaluate(run, {}, **arguments)


def test_pictures_have_a_class_a_column():
    labels = np.array([-1, *range(7)] * 5)
    indices, columns = drawing.shown(labels)
    assert columns == 7
    assert (labels[indices].reshape(4, 7) == np.arange(7)).all()
    for labels in (np.arange(50), np.full(50, -1), np.array([0, 1] * 25)):
        indices, columns = drawing.shown(labels)
        assert columns == 10 and indices.tolist() == list(range(40))


def test_a_classifier_of_few_images_or_of_none_with_labels(
    monkeypatch, tmp_path
):
    """The first are passed few times."""
    options = train_options.parse(["--dataset=digits", "--preset=digits"])
    monkeypatch.setattr(results, "EPOCHS", 1)
    monkeypatch.setattr(results, "STEPS", 2000)
    found = results.classifier(Splits(options), tmp_path / "a.keras")
    assert found.about["steps"] == 1330 // 128
    source = types.SimpleNamespace(num_classes=None)
    monkeypatch.setattr(data, "open_dataset", lambda *_, **__: source)
    with pytest.raises(ValueError, match="need labels.*'digits' has none"):
        building.check_metrics(["classes"], Splits(options), None)


def test_other_data_and_splits_have_files_of_their_own(
    run, unmeasured, tmp_path_factory
):
    for path in run.glob("evaluation-*"):
        path.unlink()
    before = (run / "evaluation.json").read_bytes()
    picture = (run / "pictures" / "evaluation.png").read_bytes()
    folders = [tmp_path_factory.mktemp(name) / "other" for name in "ab"]
    for folder in folders:
        for split, count in (("train", 30), ("test", 20)):
            names = [f"{split}/all/{number}.png" for number in range(count)]
            runs.write_pictures(folder, names)
    evaluations = [
        evaluate.evaluate(
            run, {"dataset": "image_folder", "data_dir": str(folder)}
        )
        for folder in folders
    ]
    evaluations.append(evaluate.evaluate(run, {}, split="validation"))
    with pytest.raises(ValueError, match="is not for --dataset=digits"):
        evaluate.evaluate(run, {"data_dir": str(folders[0])})
    files = [result["file"] for result in evaluations]
    assert len(set(files)) == 3
    assert files[2] == str(run / "evaluation-validation.json")
    for result in evaluations[:2]:
        assert f"{run}/evaluation-other-" in result["file"]
        assert (
            "20 of the 20 images of the split test of image_folder"
            in (results.lines(result)[-1])
        )
    assert evaluations[2]["images"] == 70
    assert (run / "pictures" / "evaluation.png").read_bytes() == picture
    assert (run / "evaluation.json").read_bytes() == before


def test_a_quick_evaluation_leaves_the_complete_one(run, tmp_path, unmeasured):
    """Of fewer images or metrics; what has more takes its place."""
    run = shutil.copytree(run, tmp_path / "run")
    for path in run.glob("evaluation*"):
        path.unlink()
    whole = run / "evaluation.json"

    def file(limit=60, metrics=(), **arguments):
        replaced = {"evaluation_limit": limit}
        found = evaluate.evaluate(run, replaced, metrics=metrics, **arguments)
        said = f"{found.get('kept')} is of more images"
        assert results.lines(found)[-1].startswith(said) == ("kept" in found)
        return found["file"].removeprefix(f"{run}/")

    assert file() == "evaluation.json"
    assert file(metrics=["codes"]) == "evaluation.json"
    before = whole.read_bytes()
    picture = (run / "pictures" / "evaluation.png").read_bytes()
    assert file(9, ["codes"]) == "evaluation-limit-9.json"
    assert file() == "evaluation-without-codes.json"
    assert file(9) == "evaluation-limit-9-without-codes.json"
    assert whole.read_bytes() == before
    assert (run / "pictures" / "evaluation.png").read_bytes() == picture
    assert (run / "pictures" / "evaluation-limit-9").is_dir()
    assert file(70, ["codes"]) == "evaluation.json"
    assert file(split="validation") == "evaluation-validation.json"
    assert file(9, split="validation") == "evaluation-validation-limit-9.json"
    whole.write_text("[]")
    assert file(9) == "evaluation.json"


def test_a_run_needs_its_preset_no_more(tmp_path):
    """Not even for a checkpoint, once it has a model."""
    base = ClosedLoopAutoencoder.from_preset(
        "digits", load_weights=False, filters=(4,), feature_dim=8
    )
    base.save_to_preset(tmp_path / "base")
    given = runs.options(
        ["--dataset=digits", "--steps=1", "--evaluation_limit=20"],
        tmp_path / "run",
        f"--preset={tmp_path}/base",
    )
    with workdirs.Workdir(tmp_path / "run") as workdir:
        workdir.claim(given)
        model = building.model(given, 10)
        checkpoint = TrainingCheckpoint(workdir.checkpoints)
        checkpoint.set_model(model)
        checkpoint.save(1)
    (tmp_path / "base").rename(tmp_path / "moved")
    with pytest.raises(ValueError, match="Unknown preset"):
        evaluate.evaluate(tmp_path / "run", {}, checkpoint=True)
    model.save_to_preset(tmp_path / "run" / "model")
    found = [
        evaluate.evaluate(tmp_path / "run", {}, checkpoint=each)["psnr"]
        for each in (False, True)
    ]
    assert found[0] == pytest.approx(found[1])


def test_the_best_model_has_its_step(run, tmp_path):
    run = shutil.copytree(run, tmp_path / "run")
    recorded = json.loads((run / "flags.json").read_text())
    (run / "flags.json").write_text(
        json.dumps({**recorded, "keep_best": "psnr"})
    )
    with workdirs.Workdir(run, create=False) as workdir:
        assert evaluate.trained_step(workdir, workdir.options()) == 1
        best = workdir.checkpoints / "best-00000007"
        best.mkdir(parents=True)
        facts = {"metric": "psnr", "value": 1.0, "step": 7, "images": 5}
        (best / "best.json").write_text(json.dumps(facts))
        assert evaluate.trained_step(workdir, workdir.options()) == 7


def test_maps_are_evaluated_on_images_of_other_sizes(tmp_path):
    """Those of a run on crops: cut, enlarged or, of other sets, resized."""
    run = tmp_path / "run"
    given = runs.options(
        ["--dataset=photographs", "--preset=photographs", "--steps=1"],
        run,
        "--architecture=filters=4,4,4,feature_dim=4,iterations=2",
        "--architecture=sparsity=0.001",
        "--noresize",
        "--evaluation_limit=6",
    )
    with workdirs.Workdir(run) as workdir:
        workdir.claim(given)
        building.network(given).save_to_preset(workdir.model)
    with pytest.raises(ValueError, match="has features=map"):
        evaluate.evaluate(run, {}, metrics=["samples"])
    for size in (20, 150):
        names = [f"{number}.png" for number in range(12)]
        path = runs.write_pictures(tmp_path / str(size), names, (size, size, 3))
        folder = {"dataset": "image_folder", "data_dir": str(path)}
        found = evaluate.evaluate(run, folder, metrics=[], split="train")
        assert np.isfinite(found["psnr"])
    found = evaluate.evaluate(run, {"dataset": "digits"}, metrics=[])
    assert np.isfinite(found["psnr"])
