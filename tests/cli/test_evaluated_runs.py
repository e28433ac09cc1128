"""Which model and images of a run, or of others, an evaluation takes."""

import json
import types

from keras_csc_cli import building
from keras_csc_cli import evaluate
from keras_csc_cli import workdir as workdirs

import numpy as np
import pytest

from keras_csc.callbacks import TrainingCheckpoint
from keras_csc.export import export_preset
from keras_csc.models import ClosedLoopAutoencoder
from tests.helpers import runs

pytestmark = pytest.mark.usefixtures("eager")


@pytest.fixture
def run(tmp_path):
    """The folder of a run whose model has its first weights."""
    return runs.untrained(tmp_path / "run")


def test_classes_of_other_data_are_own_if_their_names_are():
    """Numbers of classes mean something in one data set alone."""
    names = ["one", "two"]
    splits = {"train": types.SimpleNamespace(class_names=names)}
    for others, record, own in (
        ({"split": "train"}, {}, True),
        ({"dataset": "mnist"}, {}, False),
        ({"dataset": "mnist"}, None, False),
        ({"data_dir": "moved"}, {"class_names": ["1", "2"]}, False),
        ({"data_dir": "moved"}, {"class_names": names}, True),
    ):
        assert evaluate.has_own_classes(record, others, splits) is own


@pytest.mark.parametrize("names, own", [("ab", True), ("cd", False)])
def test_classes_of_a_presets_images_are_own_if_their_names_are(
    run, tmp_path, monkeypatch, names, own
):
    """Classes of another folder may have the same numbers."""
    pictures = [
        f"{label}/{number}.png" for label in "ab" for number in "123456"
    ]
    folder = runs.write_pictures(tmp_path / "pictures", pictures)
    card = {
        "recipe": {"dataset": "image_folder"},
        "training": {"class_names": list(names)},
    }
    model = ClosedLoopAutoencoder.from_preset(run / "model")
    preset = str(export_preset(model, tmp_path / "preset", card))
    monkeypatch.setattr(
        evaluate.results, "evaluate", lambda *_, own_classes, **__: own_classes
    )
    given = {"preset": preset, "data_dir": str(folder)}
    assert evaluate.evaluate(output=tmp_path / "new", **given) is own


def test_a_run_needs_its_preset_no_more(tmp_path):
    """Not even for a checkpoint, once it has a model."""
    base = ClosedLoopAutoencoder.from_preset(
        "digits", load_weights=False, filters=(4,), feature_dim=8
    )
    base.save_to_preset(tmp_path / "base")
    flags = ["--dataset=digits", "--steps=1"]
    run = tmp_path / "run"
    given = runs.options(flags, run, f"--preset={tmp_path}/base")
    with workdirs.Workdir(run) as workdir:
        workdir.claim(given)
        model = building.model(given, 10)
        checkpoint = TrainingCheckpoint(workdir.checkpoints)
        checkpoint.set_model(model)
        checkpoint.save(1)
    (tmp_path / "base").rename(tmp_path / "moved")
    with pytest.raises(ValueError, match="Unknown preset"):
        evaluate.evaluate(run, checkpoint=True)
    model.save_to_preset(run / "model")
    one, other = (
        evaluate.evaluate(run, checkpoint=each) for each in (False, True)
    )
    assert one["psnr"] == pytest.approx(other["psnr"])


def test_maps_are_evaluated_on_images_of_other_sizes(tmp_path):
    """Of a run on crops they are cut, enlarged or, of other sets, resized."""
    run = tmp_path / "run"
    given = runs.options(
        ["--dataset=photographs", "--preset=photographs", "--steps=1"],
        run,
        "--architecture=filters=4,feature_dim=4,sparsity=0.001",
        "--noresize",
    )
    with workdirs.Workdir(run) as workdir:
        workdir.claim(given)
        building.network(given).save_to_preset(workdir.model)
    with pytest.raises(ValueError, match="has features=map"):
        evaluate.evaluate(run, metrics=["samples"])
    for size in (20, 150):
        names = [f"{number}.png" for number in range(12)]
        path = runs.write_pictures(tmp_path / str(size), names, (size, size, 3))
        folder = {"dataset": "image_folder", "data_dir": str(path)}
        found = evaluate.evaluate(run, **folder, metrics=[], split="train")
        assert np.isfinite(found["psnr"])
    found = evaluate.evaluate(run, dataset="digits", metrics=[])
    assert np.isfinite(found["psnr"])


def test_a_preset_needs_no_run(run, tmp_path):
    given = {"preset": str(run / "model"), "output": tmp_path / "new"}
    more = {"dataset": "digits", "evaluation_limit": 20, "metrics": ["codes"]}
    found = evaluate.evaluate(**given, **more)
    written = json.loads((tmp_path / "new" / "evaluation.json").read_text())
    assert found == written and written["preset"] == given["preset"]
    names = {"nonzeros", "zeros", "explained", "excess"}
    assert [set(stage) for stage in written["codes"]] == [names, names]
    assert written["psnr_by_solver_steps"]["50"] > 0
    given["output"] = tmp_path / "third"
    with pytest.raises(ValueError, match="--dataset is missing"):
        evaluate.evaluate(**given)
    assert not given["output"].exists()
