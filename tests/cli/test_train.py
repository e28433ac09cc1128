"""`training/train.py` from options to files, on the embedded digits."""

import functools
import json
import os
import pathlib
import shutil
import signal
import types

from keras_csc_cli import evaluate
from keras_csc_cli import interruption
from keras_csc_cli import processor
from keras_csc_cli import sessions
from keras_csc_cli import strategies
from keras_csc_cli import train
from keras_csc_cli.command_line import Interrupted
from keras_csc_cli.command_line import UsageError

import numpy as np
import pytest
from PIL import Image

from keras_csc import callbacks
from keras_csc import data
from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.models import initialize_from
from tests.helpers import runs

TINY = [
    "--dataset=digits",
    "--preset=digits",
    "--architecture=filters=4,feature_dim=16,iterations=2",
    "--batch_size=32",
    "--steps=6",
    "--log_every=2",
    "--schedule=cosine",
    "--game=decoder_consistency=5,multistage=20",
    "--game=class_features=4,memory=0.5",
    "--evaluation_limit=60",
]
options = functools.partial(runs.options, TINY)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run that was trained to its end."""
    workdir = tmp_path_factory.mktemp("run") / "digits"
    train.train(options(workdir))
    return workdir


def read(path):
    return json.loads(pathlib.Path(path).read_text())


def test_run_leaves_what_its_description_says(finished):
    names = {path.name for path in finished.iterdir()}
    assert {
        "checkpoints",
        "log.jsonl",
        "tensorboard",
        "pictures",
        "model",
        "run.json",
        "flags.json",
        "evaluation.json",
    } <= names


def test_run_records_the_names_of_its_classes(finished, tmp_path):
    names = [str(digit) for digit in range(10)]
    assert read(finished / "run.json")["class_names"] == names
    many = types.SimpleNamespace(
        class_names=names * 101, identity=lambda: {"images": 5}
    )
    workdir = types.SimpleNamespace(run=tmp_path / "run.json")
    log = sessions.SessionLog(workdir, many, batch_size=1)
    log.set_model(types.SimpleNamespace(step=0))
    log.on_train_begin()
    assert "class_names" not in read(tmp_path / "run.json")


def test_evaluation_has_every_figure(finished):
    evaluation = read(finished / "evaluation.json")
    for name in (
        "psnr",
        "ssim",
        "cosine",
        "retrieval",
        "nearest_subspace_accuracy",
        "knn_accuracy",
    ):
        assert np.isfinite(evaluation[name])
    assert len(evaluation["zero_fraction"]) == 1
    assert evaluation["split"] == "test"
    assert evaluation["images"] == 60


def test_evaluation_agrees_with_the_saved_model(finished):
    """PSNR again from `predict`, in NumPy float64."""
    model = ClosedLoopAutoencoder.from_preset(finished / "model")
    source = data.open_dataset("digits", "test", (16, 16, 1))
    images = data.load_arrays(source, 60)[0] / 127.5 - 1.0
    reconstructions = model.predict(images, verbose=0).astype("float64")
    error = np.mean((images - reconstructions) ** 2, axis=(1, 2, 3))
    psnr = np.mean(10 * np.log10(4 / error))
    evaluation = read(finished / "evaluation.json")
    assert evaluation["psnr"] == pytest.approx(psnr, abs=1e-3)


def test_saved_model_has_the_density_of_training_images(finished):
    model = ClosedLoopAutoencoder.from_preset(finished / "model")
    source = data.open_dataset("digits", "train", (16, 16, 1))
    images, labels = data.load_arrays(source, 60)
    features = model.encode(images).numpy().astype("float64")
    np.testing.assert_allclose(
        model.density.center, features.mean(0), atol=1e-5
    )
    shares = np.bincount(labels, minlength=10) / 60
    np.testing.assert_allclose(model.density.priors, shares, atol=1e-6)


def test_a_finished_run_gets_another_density(finished, tmp_path):
    """By its own command with other `--density_components`, and no step."""
    workdir = shutil.copytree(finished, tmp_path / "digits")
    train.train(options(workdir, "--density_components=2", "--noevaluate"))
    before, after = (
        ClosedLoopAutoencoder.from_preset(each / "model")
        for each in (finished, workdir)
    )
    assert before.density.get_config()["components"] == 1
    assert after.density.get_config()["components"] == 2
    for old, new in zip(before.encoder.weights, after.encoder.weights):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_allclose(
        before.density.center, after.density.center, atol=1e-5
    )


def test_log_has_the_terms_and_layers(finished):
    lines = (finished / "log.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["step"] for record in records] == [2, 4, 6]
    for name in (
        "objective",
        "features_rate",
        "consistency",
        "multistage",
        "encoder_gradient_norm",
        "images_per_second",
        "input_wait",
        "learning_rate",
        "shown_psnr",
        "zero_fraction/stage_1",
    ):
        assert name in records[-1]
    assert records[-1]["learning_rate"] == pytest.approx(0, abs=1e-9)


def test_finished_run_is_not_trained_again(finished):
    before = (finished / "log.jsonl").read_text()
    train.train(options(finished, "--noevaluate"))
    assert (finished / "log.jsonl").read_text() == before


def test_a_fuller_evaluation_of_a_finished_run_stays(finished, tmp_path):
    copy = shutil.copytree(finished, tmp_path / "copy")
    fuller = {**read(copy / "evaluation.json"), "images": 70}
    (copy / "evaluation.json").write_text(json.dumps(fuller))
    train.train(options(copy))
    assert read(copy / "evaluation.json") == fuller
    assert read(copy / "evaluation-limit-60.json")["images"] == 60


def test_a_model_without_checkpoints_is_not_replaced(finished, tmp_path):
    copy = shutil.copytree(finished, tmp_path / "copy")
    shutil.rmtree(copy / "checkpoints")
    with pytest.raises(UsageError, match="no checkpoint to go on from"):
        train.train(options(copy))
    for name in ("log.jsonl", "model/model.weights.h5"):
        assert (copy / name).read_bytes() == (finished / name).read_bytes()


def test_evaluate_script_repeats_the_figures(finished):
    before = read(finished / "evaluation.json")
    after = evaluate.evaluate(finished, {})
    assert after["psnr"] == pytest.approx(before["psnr"], abs=1e-4)
    assert after["step"] == 6


def test_interrupted_run_goes_on_as_if_it_had_not_been(
    finished, tmp_path, after_step
):
    after_step(2, lambda _: os.kill(os.getpid(), signal.SIGTERM), last=True)
    interruption.install()
    with pytest.raises(Interrupted):
        train.train(options(tmp_path))
    interruption.install()
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == [
        "step-00000003"
    ]
    train.train(options(tmp_path, "--noevaluate"))

    whole = ClosedLoopAutoencoder.from_preset(finished / "model")
    resumed = ClosedLoopAutoencoder.from_preset(tmp_path / "model")
    for expected, weight in zip(whole.weights, resumed.weights):
        np.testing.assert_allclose(
            weight.numpy(), expected.numpy(), rtol=1e-5, atol=1e-6
        )
    assert len(read(tmp_path / "run.json")["sessions"]) == 2


def test_no_readable_checkpoint_is_an_error(finished, tmp_path):
    copy = shutil.copytree(finished, tmp_path / "copy")
    for index in copy.glob("checkpoints/*/*.index"):
        index.write_bytes(b"")
    with pytest.raises(callbacks.CheckpointError, match="None of the 1"):
        train.train(options(copy))


def test_other_hyper_parameters_are_refused_by_name(finished):
    with pytest.raises(UsageError, match="batch_size was 32, is 64"):
        train.train(options(finished, "--batch_size=64"))


def test_a_run_keeps_the_policy_that_auto_was(finished, tmp_path, monkeypatch):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("flags: avx512_bf16")
    monkeypatch.setattr(processor, "CPUINFO", cpuinfo)
    with train.workdirs.Workdir(tmp_path / "new") as new:
        assert new.dtype_policy("auto") == "mixed_bfloat16"
    train.train(options(finished, "--noevaluate"))
    assert read(finished / "flags.json")["dtype_policy"] == "float32"
    with pytest.raises(UsageError, match="dtype_policy was float32, is mixed"):
        train.train(options(finished, "--dtype_policy=mixed_bfloat16"))


def test_second_process_is_refused(finished):
    with train.workdirs.Workdir(finished):
        with pytest.raises(UsageError, match="in use by another process"):
            train.train(options(finished))


def test_non_finite_objective_stops_the_run(tmp_path):
    def spoiled(*arguments):
        model = train.building.model(*arguments)
        kernel = model.decoder.decoding_layers[-1].kernel
        kernel.assign(np.full(kernel.shape, np.nan))
        return model

    with pytest.raises(callbacks.NonFiniteError, match="at step 2"):
        train.train(options(tmp_path), make_model=spoiled)
    assert not (tmp_path / "model").exists()
    assert not list(tmp_path.glob("checkpoints/step-*"))


def test_a_dead_network_is_saved_and_not_evaluated(tmp_path, eager):
    arguments = ["--steps=1", "--architecture=sparsity=1e6"]
    folder = tmp_path / "run"
    with pytest.raises(
        UsageError, match="features of the images are zero.* model is saved: "
    ):
        train.train(options(folder, *arguments))
    assert ClosedLoopAutoencoder.from_preset(folder / "model").built
    assert not (folder / "evaluation.json").exists()
    with pytest.raises(UsageError, match="the model can't be evaluated: All"):
        evaluate.evaluate(folder, {})


def write_images(folder, count):
    """Random images of two classes."""
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        values = rng.integers(0, 256, (16, 16), "uint8")
        Image.fromarray(values).save(path)
    return folder


def test_a_run_goes_on_with_its_own_images_only(tmp_path):
    """Wherever they lie now."""
    folder = write_images(tmp_path / "images", 60)
    given = [
        "--dataset=image_folder",
        "--steps=2",
        "--noevaluate",
    ]
    work = tmp_path / "run"
    train.train(options(work, *given, f"--data_dir={folder}"))
    moved = folder.rename(tmp_path / "moved")
    train.train(options(work, *given, f"--data_dir={moved}"))
    others = shutil.copytree(moved, tmp_path / "others")
    Image.new("L", (16, 16)).save(others / "a" / "0.png")
    with pytest.raises(UsageError, match="are not those.* bytes .* then.*now"):
        train.train(options(work, *given, f"--data_dir={others}"))
    shutil.copytree(others / "b", others / "c")
    with pytest.raises(UsageError, match="are not those.*of 3 classes"):
        train.train(options(work, *given, f"--data_dir={others}"))
    assert evaluate.evaluate(work, {}, metrics=[])["data_dir"] == str(moved)


def test_an_evaluation_of_too_few_images_for_neighbours(finished, tmp_path):
    """Of two classes, but fewer images than 5-NN takes."""
    copy = shutil.copytree(finished, tmp_path / "copy")
    found = evaluate.evaluate(copy, {"evaluation_limit": 4})
    assert found["knn_accuracy"] is found["centered_knn_accuracy"] is None
    assert np.isfinite(found["nearest_subspace_accuracy"])
    with pytest.raises(UsageError, match="at least 4 images.*there are 3"):
        train.train(
            options(
                tmp_path / "other",
                "--evaluation_limit=3",
                "--metrics=classifier",
            )
        )


def test_last_checkpoint_is_evaluated_on_images_of_other_classes(
    finished, tmp_path
):
    """The game's memory of this run is of ten classes."""
    shutil.copytree(finished, tmp_path / "run")
    write_images(tmp_path / "images", 36)
    others = {"dataset": "image_folder", "data_dir": str(tmp_path / "images")}
    found = evaluate.evaluate(
        tmp_path / "run", others, checkpoint=True, metrics=[]
    )
    assert found["step"] == 6 and np.isfinite(found["psnr"])


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--dataset=digit"], "did you mean digits"),
        (["--preset=digit"], "Did you mean 'digits'"),
        (["--dataset=cifar10", "--data_dir=/nowhere"], "tfds build cifar10"),
        (["--architecture=filters=a,b"], "filters must be a whole number"),
        (["--architecture=sparsity=0.1,much"], "sparsity must be a finite"),
        (
            ["--architecture=filters=4,8,sparsity=0.1,0.2,0.3"],
            "one for each of the 2 stages",
        ),
        (["--batch_size=0"], "at least 1"),
        (["--batch_size=5000"], "1330 training images"),
        (["--game=memory=0", "--batch_size=8"], "number of classes, 10"),
        (["--architecture=filters=4,8,8,8,8"], "divisible by 32"),
        (["--dataset=photographs"], "3 channels"),
        (["--preset=/nowhere"], "Unknown preset"),
        (["--architecture=iterations=0"], "`iterations` .*at least 1"),
        (["--inner_step"], "--decoder_learning_rate"),
        (["--inner_step", "--decoder_learning_rate=1"], "objective=multi"),
        (["--random_shift=16"], "below the sides"),
        (
            ["--game=dictionary=1", "--architecture=network=conv"],
            "without sparse codes",
        ),
        (["--principal_images=15"], "as many as features, 16"),
        (
            ["--game=class_features=9,view_features=8"],
            "`feature_dim`, 16, in all. Received: 9 and 8",
        ),
        (
            ["--game=view_features=8", "--architecture=features=map"],
            "must be 0 for features=.map",
        ),
    ],
)
def test_mistakes_are_named_before_any_work(tmp_path, arguments, message):
    with pytest.raises((UsageError, data.DataError), match=message):
        train.train(options(tmp_path / "run", *arguments))
    assert not (tmp_path / "run" / "flags.json").exists()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--principal_images=15"], "as many as features, 16"),
        (
            ["--keep_best=psnr", "--validation_fraction=0"],
            "holds none out",
        ),
        (["--batch_size=33", "--strategy=mirrored"], "not divisible by the 2"),
        (["--dataset=celeb_a", "--game=objective=multi"], "'celeb_a' has none"),
        (["--dataset=celeb_a", "--metrics=classes"], "need labels.*has none"),
        (["--game=memory=0", "--batch_size=8"], "number of classes, 10"),
        (["--seed=3"], "seed was 0, is 3"),
    ],
)
def test_mistakes_are_named_before_a_download(
    finished, tmp_path, monkeypatch, arguments, message
):
    def fail(*arguments, **kwargs):
        raise AssertionError("opened")

    monkeypatch.setattr(data, "open_dataset", fail)
    download = ["--dataset=mnist", "--download", f"--data_dir={tmp_path}"]
    work = tmp_path / "run"
    if "--seed=3" in arguments:
        work, download = finished, []
    with pytest.raises(UsageError, match=message):
        train.train(options(work, *download, *arguments))


def test_unwritable_workdir_is_named():
    with pytest.raises(UsageError, match="can't be written"):
        train.train(options("/dev/null/run"))


def test_training_starts_from_principal_components(tmp_path):
    arguments = ["--steps=1", "--noevaluate"]
    still = ["--learning_rate=0"]
    train.train(options(tmp_path, "--principal_images=200", *arguments, *still))
    found = ClosedLoopAutoencoder.from_preset(tmp_path / "model")
    expected = ClosedLoopAutoencoder.from_preset(
        "digits",
        load_weights=False,
        filters=(4,),
        feature_dim=16,
        iterations=2,
    )
    pixels, _ = data.load_arrays(
        data.open_dataset(
            "digits", "train", (16, 16, 1), validation_fraction=0.05
        ),
        200,
    )
    initialize_from(expected, (pixels / 127.5 - 1.0).astype("float32"))
    for layer, other in zip(
        [*found.encoder.coding_layers, found.encoder.head],
        [*expected.encoder.coding_layers, expected.encoder.head],
    ):
        np.testing.assert_allclose(
            np.abs(layer.kernel), np.abs(other.kernel), atol=0.05
        )


def test_start_of_one_device_is_copied_to_all(mirrored):
    source = ClosedLoopAutoencoder.from_preset(
        "digits", load_weights=False, filters=(4, 8)
    )
    strategy = mirrored(2)
    with strategy.scope():
        target = ClosedLoopAutoencoder.from_preset(
            "digits", load_weights=False, filters=(4, 8)
        )
    source.encoder.update_operator_norms()
    strategies.copy_from_chief(strategy, source, target, True)
    for one, several in zip(source.weights, target.weights):
        for value in strategy.experimental_local_results(several.value):
            np.testing.assert_array_equal(value, one)


def test_several_devices_start_from_the_patches_of_one(tmp_path, monkeypatch):
    started = {}

    def keep(model, *arguments):
        started[options_of.strategy] = [np.array(w) for w in model.weights]

    monkeypatch.setattr(train.loop, "train", keep)
    monkeypatch.setattr(train, "finish", lambda *arguments: None)
    for name in ("none", "mirrored"):
        options_of = options(
            tmp_path / name, "--patch_images=200", f"--strategy={name}"
        )
        train.train(options_of)
    for one, several in zip(started["none"], started["mirrored"]):
        np.testing.assert_allclose(several, one, rtol=1e-5, atol=1e-6)


def test_mirrored_training_is_that_of_one_device(finished, tmp_path):
    train.train(options(tmp_path, "--noevaluate", "--strategy=mirrored"))
    expected = ClosedLoopAutoencoder.from_preset(finished / "model")
    mirrored = ClosedLoopAutoencoder.from_preset(tmp_path / "model")
    for one, several in zip(expected.weights, mirrored.weights):
        np.testing.assert_allclose(
            several.numpy(), one.numpy(), rtol=1e-3, atol=1e-4
        )
