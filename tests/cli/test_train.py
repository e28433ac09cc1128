"""`keras-csc train` from options to files, on the embedded digits."""

import functools
import json
import os
import pathlib
import shutil
import signal

from keras_csc_cli import devices
from keras_csc_cli import evaluate
from keras_csc_cli import interruption
from keras_csc_cli import running
from keras_csc_cli import train
from keras_csc_cli.command_line import Interrupted

import numpy as np
import pytest
from PIL import Image

from keras_csc import callbacks
from keras_csc import data
from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.models import initialize_from
from tests.helpers import runs

pytestmark = pytest.mark.usefixtures("eager")

TINY = [
    "--dataset=digits",
    "--preset=digits",
    "--architecture=filters=4,feature_dim=16,iterations=2",
    "--batch_size=32",
    "--steps=4",
    "--save_every=2",
    "--schedule=cosine",
    "--game=multistage=20",
    "--game=objective=multi,memory=0.5",
]
options = functools.partial(runs.options, TINY)


@pytest.fixture(scope="module")
def finished(eager, tmp_path_factory):
    """A run that was trained to its end."""
    workdir = tmp_path_factory.mktemp("run") / "digits"
    train.train(options(workdir))
    return workdir


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copy")


def read(path):
    return json.loads(pathlib.Path(path).read_text())


def trained(workdir):
    return ClosedLoopAutoencoder.from_preset(workdir / "model")


def check_same_weights(one, other, rtol=1e-3, atol=1e-4):
    for part in ("encoder", "decoder"):
        weights = [getattr(each, part).weights for each in (one, other)]
        for expected, weight in zip(*weights, strict=True):
            np.testing.assert_allclose(weight, expected, rtol=rtol, atol=atol)


# === What a run leaves ===


def test_run_leaves_what_its_description_says(finished):
    for name in ("checkpoints", "log.jsonl", "tensorboard", "pictures"):
        assert (finished / name).exists()
    assert read(finished / "flags.json")["optimizer"] == "adam:0.5,0.999"
    names = [str(digit) for digit in range(10)]
    assert read(finished / "run.json")["class_names"] == names
    assert read(finished / "run.json")["labels"] == "used"
    evaluation = read(finished / "evaluation.json")
    for name in ("ssim", "retrieval", "centered_knn_accuracy"):
        assert np.isfinite(evaluation[name])
    assert (evaluation["split"], evaluation["images"]) == ("test", 60)
    lines = (finished / "log.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["step"] for record in records] == [2, 4]
    assert records[-1]["learning_rate"] == pytest.approx(0, abs=1e-9)
    terms = {"objective", "features_rate", "consistency", "multistage"}
    others = {"images_per_second", "input_wait"}
    shown = {"shown_psnr", "zero_fraction/stage_1"}
    assert terms | others | shown <= set(records[-1])


def test_evaluation_agrees_with_the_saved_model(finished):
    """PSNR again from `predict`, in NumPy float64; and by `evaluate`."""
    source = data.open_dataset("digits", "test", (16, 16, 1))
    images = data.load_arrays(source, 60)[0] / 127.5 - 1.0
    made = trained(finished).predict(images, verbose=0).astype("float64")
    error = np.mean((images - made) ** 2, axis=(1, 2, 3))
    psnr = np.mean(10 * np.log10(4 / error))
    evaluation = read(finished / "evaluation.json")
    assert evaluation["psnr"] == pytest.approx(psnr, abs=1e-3)
    after = evaluate.evaluate(finished)
    assert after["psnr"] == pytest.approx(evaluation["psnr"], abs=1e-4)
    assert after["step"] == 4


def test_saved_model_has_the_density_of_training_images(finished):
    model = trained(finished)
    source = data.open_dataset("digits", "train", (16, 16, 1))
    images, labels = data.load_arrays(source, 60)
    features = model.encode(images).numpy().astype("float64")
    center = model.density.center
    np.testing.assert_allclose(center, features.mean(0), atol=1e-5)
    shares = np.bincount(labels, minlength=10) / 60
    priors = np.sum(model.density.variables["weights"], 1)
    np.testing.assert_allclose(priors, shares, atol=1e-6)


# === The same command again ===


def test_a_finished_run_is_not_trained_again(finished, copy):
    """But gets another density, and another evaluation."""
    (copy / "evaluation.json").write_text("{}")
    train.train(options(copy, "--density_components=2"))
    assert read(copy / "evaluation.json")["images"] == 60
    for name in ("log.jsonl", "checkpoints/step-00000004/checkpoint.index"):
        assert (copy / name).read_bytes() == (finished / name).read_bytes()
    before, after = map(trained, (finished, copy))
    assert before.density.get_config()["components"] == 1
    assert after.density.get_config()["components"] == 2
    check_same_weights(before, after, 0, 0)


@pytest.fixture
def unfinished(monkeypatch):
    """Runs do nothing after their last step; their models, in order."""
    models = []
    monkeypatch.setattr(
        train.Recipe, "finish", lambda *given: models.append(given[2])
    )
    return models


def test_interrupted_run_goes_on_as_if_it_had_not_been(
    finished, tmp_path, after_step, unfinished
):
    after_step(2, lambda _: os.kill(os.getpid(), signal.SIGTERM), last=True)
    interruption.install()
    said = "SIGTERM: stopped at step 3, which is saved."
    with pytest.raises(Interrupted, match=said):
        train.train(options(tmp_path))
    interruption.install()
    assert (tmp_path / "checkpoints" / "step-00000003").is_dir()
    train.train(options(tmp_path))
    check_same_weights(trained(finished), *unfinished)
    assert len(read(tmp_path / "run.json")["sessions"]) == 2


def unreadable(folder):
    for index in folder.glob("*/*.index"):
        index.write_bytes(b"")


@pytest.mark.parametrize(
    "change, flags, message",
    [
        (shutil.rmtree, [], "no checkpoint to go on from"),
        (unreadable, [], "None of the "),
        (pathlib.Path.stat, ["--batch_size=64"], "batch_size was 32, is 64"),
        (pathlib.Path.stat, ["--dtype_policy=float64"], "float32, is float64"),
    ],
)
def test_a_run_that_can_not_go_on_stays_as_it_is(
    finished, copy, change, flags, message
):
    change(copy / "checkpoints")
    error = pytest.raises((ValueError, callbacks.CheckpointError))
    with error as caught:
        train.train(options(copy, *flags))
    assert message in str(caught.value)
    for name in ("log.jsonl", "model/model.weights.h5"):
        assert (copy / name).read_bytes() == (finished / name).read_bytes()


def test_a_run_keeps_the_policy_that_auto_was(finished, tmp_path, monkeypatch):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("flags: avx512_bf16")
    monkeypatch.setattr(devices, "CPUINFO", cpuinfo)
    seconds = {"float32": 2.0, "bfloat16": 1.0}
    one = (2, 4, 4, 1), (2, 2, 1, 3), 2
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(devices, "timed", lambda largest: seconds)
    for folder, policy in (
        (tmp_path / "new", "mixed_bfloat16"),
        (finished, "float32"),
    ):
        with running.Workdir(folder) as workdir:
            assert workdir.dtype_policy("auto", [one]) == policy
            assert workdir.timed == (seconds if policy[0] == "m" else None)


def write_images(folder, count):
    """Random images of two classes."""
    names = [f"{'ab'[number % 2]}/{number}.png" for number in range(count)]
    return runs.write_pictures(folder, names)


def test_a_run_goes_on_with_its_own_images_only(copy, tmp_path):
    """Wherever they lie now: their names, classes and sizes tell."""

    def identity(folder):
        where = {"data_dir": folder, "validation_fraction": 0}
        shape = 16, 16, 1
        return data.open_dataset(
            "image_folder", "train", shape, **where
        ).identity()

    folder = write_images(tmp_path / "images", 40)
    before = identity(folder)
    moved = folder.rename(tmp_path / "moved")
    assert identity(moved) == before
    for path in moved.glob("a/*"):
        Image.new("L", (16, 16)).save(path)
    assert identity(moved) != before
    record = read(copy / "run.json")
    record["sessions"][-1]["training_images"] = before
    (copy / "run.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match="are not those.*bytes.* then.*now"):
        train.train(options(copy))


def test_last_checkpoint_is_evaluated_on_images_of_other_classes(
    copy, tmp_path
):
    """The game's memory of this run is of ten classes."""
    write_images(tmp_path / "images", 36)
    others = {"dataset": "image_folder", "data_dir": str(tmp_path / "images")}
    found = evaluate.evaluate(copy, **others, checkpoint=True, metrics=[])
    assert found["step"] == 4 and np.isfinite(found["psnr"])


# === Mistakes ===


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--dataset=digit"], "did you mean digits"),
        (["--dataset=mnist", "--data_dir=/nowhere"], "tfds build mnist"),
        (["--architecture=sparsity=1e400"], "`sparsity` must be .*inf"),
        (["--architecture=image_shape=16"], "`image_shape` must be 3"),
        (["--architecture=nonnegative=maybe"], "`nonnegative` must be True"),
        (["--batch_size=5000"], "in \\[1, 1330\\], the number of train"),
        (["--batch_size=33", "--strategy=mirrored"], "number of replicas .2"),
        (
            ["--architecture=zeros=.9", "--preset=csc_ctrl_digits"],
            "does not fit the architecture",
        ),
        (["--game=epsilon=-1"], "--game: .*epsilon"),
        (["--metrics=samples", "--preset=photographs"], "has features=map"),
    ],
)
def test_mistakes_are_named_before_any_work(tmp_path, arguments, message):
    with pytest.raises((ValueError, data.DataError), match=message):
        train.train(options(tmp_path / "run", *arguments))
    assert not (tmp_path / "run" / "flags.json").exists()


def test_labels_that_are_missing_are_named(tmp_path):
    folder = write_images(tmp_path / "images", 60) / "a"
    given = ["--dataset=image_folder", f"--data_dir={folder}"]
    with pytest.raises(ValueError, match="--game: .* has no labels"):
        train.train(options(tmp_path / "run", *given, "--batch_size=16"))


def test_a_dead_network_is_saved_and_not_evaluated(tmp_path):
    arguments = ["--steps=1", "--architecture=sparsity=1e6"]
    folder = tmp_path / "run"
    with pytest.raises(ValueError, match="features of the images are zero"):
        train.train(options(folder, *arguments))
    assert trained(folder).built
    assert not (folder / "evaluation.json").exists()
    with pytest.raises(ValueError, match="features of the images are zero"):
        evaluate.evaluate(folder)


# === First atoms, and several devices ===


@pytest.mark.parametrize(
    "given, count", [(["--first_atoms=principal:200"], 200), ([], 1024)]
)
def test_training_starts_from_principal_components(
    tmp_path, monkeypatch, unfinished, given, count
):
    """By default of as many images as `fit` takes."""
    monkeypatch.setattr(running, "loop", lambda *arguments: None)
    train.train(options(tmp_path, *given))
    (found,) = unfinished
    how = {"filters": (4,), "feature_dim": 16, "iterations": 2}
    expected = ClosedLoopAutoencoder.from_preset(
        "digits", load_weights=False, **how
    )
    source = data.open_dataset("digits", "train", (16, 16, 1))
    pixels, _ = data.load_arrays(source, count)
    initialize_from(expected, (pixels / 127.5 - 1.0).astype("float32"))
    for layer, other in zip(
        [*found.encoder.coding_layers, found.encoder.head],
        [*expected.encoder.coding_layers, expected.encoder.head],
    ):
        one, two = np.abs(layer.kernel), np.abs(other.kernel)
        np.testing.assert_allclose(one, two, atol=1e-3)


def test_several_devices_start_from_the_patches_of_one(
    tmp_path, monkeypatch, unfinished
):
    """And are given the images that the flags say."""
    given = {}
    monkeypatch.setattr(running, "loop", lambda *arguments: None)
    monkeypatch.setattr(devices, "batches", lambda *_, **how: given.update(how))
    changes = ["--augment=flip,shift:2", "--seed=7"]
    for name in ("none", "mirrored"):
        each = options(
            tmp_path / name,
            *("--first_atoms=patches:200", f"--strategy={name}"),
            *changes,
        )
        train.train(each)
    check_same_weights(*unfinished, rtol=1e-5, atol=1e-6)
    expected = {"batch_size": 32, "seed": 7, "random_shift": 2}
    assert given == {**expected, "horizontal_flip": True}


def test_mirrored_training_is_that_of_one_device(tmp_path, unfinished):
    small = ["--game=multistage=0,residual=0"]
    for name in ("none", "mirrored"):
        flags = [*small, "--steps=2", f"--strategy={name}"]
        train.train(options(tmp_path / name, *flags))
    check_same_weights(*unfinished)
    (session,) = read(tmp_path / "mirrored" / "run.json")["sessions"]
    assert session["replicas"] == 2
