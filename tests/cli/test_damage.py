"""Damage, full disks and numbers that are not finite."""

import contextlib
import functools
import json
import re
import resource
import shutil
import types

from keras_csc_cli import building
from keras_csc_cli import devices
from keras_csc_cli import export
from keras_csc_cli import train

import numpy as np
import pytest
import tensorflow as tf

from keras_csc import callbacks
from keras_csc import data
from keras_csc.callbacks.best import best_facts
from keras_csc.evaluation.quality import reconstruction_figures
from tests.helpers import runs

pytestmark = pytest.mark.usefixtures("eager")

TINY = [
    *runs.TINY,
    "--steps=4",
    "--log_every=4",
    "--save_every=2",
    "--metrics=",
    "--evaluation_limit=40",
]
options = functools.partial(runs.options, TINY)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run that was trained to its end, with checkpoints at 2 and 4."""
    workdir = tmp_path_factory.mktemp("run") / "tiny"
    train.train(options(workdir))
    return workdir


@pytest.fixture
def workdir(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "tiny")


@pytest.fixture(scope="module")
def model(finished):
    return building.model(options(finished), 10)


@contextlib.contextmanager
def full_disk(size=1000):
    """Within the context, no file can grow past so many bytes.

    Not even the one that pytest writes to, if its output goes to a file.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def state(model):
    return [
        np.array(variable.value)
        for holder in (model, *model.optimizers)
        for variable in holder.variables
    ]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("file", ["index", "data-00000-of-00001"])
def test_flipped_bits_and_cuts_of_a_checkpoint_are_found(workdir, model, file):
    """Or they are in bytes that nothing depends on."""
    checkpoint = callbacks.TrainingCheckpoint(workdir / "checkpoints")
    assert checkpoint.restore(model) == 4
    expected = state(model)
    folder = checkpoint.path(4)
    path = folder / f"checkpoint.{file}"
    content = path.read_bytes()
    rng, found = np.random.default_rng(0), 0
    damages = [content[:-1], content[: len(content) // 2], b""]
    for place in rng.integers(len(content), size=10):
        flipped = bytearray(content)
        flipped[place] ^= 1 << rng.integers(8)
        damages.append(bytes(flipped))
    for damage in damages:
        path.write_bytes(damage)
        try:
            checkpoint.read(folder)
        except callbacks.CheckpointError as error:
            assert str(folder) in str(error)
            found += 1
        else:
            for value, other in zip(expected, state(model)):
                np.testing.assert_array_equal(value, other)
    assert found >= 0.9 * len(damages)


@pytest.fixture
def checkpoint(workdir):
    return callbacks.TrainingCheckpoint(workdir / "checkpoints")


def go_on(checkpoint, model):
    """Restores the newest good checkpoint; saves step 4, as a training does."""
    step = checkpoint.restore(model)
    checkpoint.save(4)
    return step


def test_what_stands_in_a_checkpoints_place_is_set_aside(checkpoint, model):
    folder = checkpoint.path(4)
    shutil.rmtree(folder)
    folder.symlink_to("nowhere")
    assert go_on(checkpoint, model) == 2
    assert (folder / "checkpoint.index").is_file()
    assert folder.with_name("damaged-step-00000004").is_symlink()


def spoil(folder, model):
    """Overwrites a checkpoint with one whose weights are not finite."""
    checkpoint = callbacks.TrainingCheckpoint(folder.parent)
    checkpoint.restore(model)
    kernel = model.decoder.decoding_layers[-1].kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    shutil.rmtree(folder)
    checkpoint.write_folder(folder)


def test_checkpoint_that_is_not_finite_is_passed_over(workdir, model, capsys):
    spoil(workdir / "checkpoints" / "step-00000004", model)
    train.train(options(workdir))
    errors = capsys.readouterr().err
    assert "step-00000004 holds a weight that is not finite: " in errors
    assert "Going on from step 2 of 4" in errors
    expected = ["step-00000002", "step-00000004"]
    aside = ["damaged-step-00000004"]
    assert names(workdir / "checkpoints") == aside + expected


def test_checkpoint_of_another_step_than_its_name_is_passed_over(
    checkpoint, model, capsys
):
    shutil.copytree(checkpoint.path(4), checkpoint.path(9))
    assert checkpoint.restore(model) == model.step == 4
    assert "step-00000009 is of step 4, not of" in capsys.readouterr().err


def test_damaged_checkpoints_do_not_push_out_good_ones(
    checkpoint, model, capsys
):
    for step in (5, 6, 7):
        checkpoint.path(step).mkdir()
    shutil.rmtree(checkpoint.path(4))
    assert go_on(checkpoint, model) == 2
    assert f"{checkpoint.path(7)} can't be read: " in capsys.readouterr().err
    assert {2, 4} <= set(checkpoint.steps())


def test_folders_of_the_users_among_checkpoints_stay(checkpoint, model):
    mine = ["step-1", "step-00000002-mine", "best-1", "step-000000003"]
    for name in mine:
        (checkpoint.folder / name).mkdir()
    checkpoint.keep = 1
    checkpoint.restore(model)
    assert checkpoint.steps() == [2, 4]
    shutil.rmtree(checkpoint.path(4))
    checkpoint.save(4)
    assert checkpoint.steps() == [4]
    assert set(mine) <= set(names(checkpoint.folder))


def test_checkpoints_are_due_by_minutes(tmp_path, monkeypatch):
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    checkpoint = callbacks.TrainingCheckpoint(tmp_path, every_minutes=2.0)
    checkpoint.set_model(types.SimpleNamespace(step=7))
    checkpoint.on_train_begin()
    now += 119
    assert not checkpoint.is_due()
    now += 1
    assert checkpoint.is_due()


def infinite(model):
    kernel = model.decoder.decoding_layers[-1].kernel
    kernel.assign(np.full(kernel.shape, np.inf))


@pytest.mark.parametrize(
    "step, last, message",
    [
        (3, False, "weight '.*kernel' is not .* step 3"),
        (2, True, "The term '.*' is (nan|inf) at step 3"),
    ],
)
def test_what_is_not_finite_is_named_and_never_saved(
    tmp_path, after_step, step, last, message
):
    """Of a run whose checkpoints are due long before its logs."""
    after_step(step, infinite, last)
    flags = ["--steps=100", "--log_every=50", "--save_every=1"]
    with pytest.raises(callbacks.NonFiniteError, match=message):
        train.train(options(tmp_path, *flags))
    assert names(tmp_path / "checkpoints") == ["step-00000001", "step-00000002"]
    assert not (tmp_path / "model").exists()


def test_checkpoint_on_a_full_disk(checkpoint, model):
    checkpoint.restore(model)
    error = pytest.raises(callbacks.CheckpointError, match="Make room")
    with error, full_disk():
        checkpoint.save(5)
    assert names(checkpoint.folder) == ["step-00000002", "step-00000004"]
    assert checkpoint.restore(model) == 4


def test_trained_model_on_a_full_disk(workdir, model):
    before = (workdir / "model" / "model.weights.h5").read_bytes()
    error = pytest.raises(OSError, match="File too large")
    with error, full_disk():
        train.train(options(workdir))
    assert (workdir / "model" / "model.weights.h5").read_bytes() == before


def test_export_on_a_full_disk(workdir, short_export):
    (workdir / "saved_models" / "tiny" / "1").mkdir(parents=True)
    error = pytest.raises(OSError, match="File too large")
    with error, full_disk():
        export.run(workdir, saved_models=workdir / "saved_models")
    assert names(workdir / "saved_models" / "tiny") == [".lock", "1"]


def test_damage_within_streamed_images_is_named(tmp_path, monkeypatch):
    """Images that are too many for memory are read as they are needed."""
    monkeypatch.setattr(building, "CACHE_BYTES", 0)
    root = tmp_path / "images"
    for folder in ("train", "test"):
        names = [f"{folder}/all/{index}.png" for index in range(16)]
        runs.write_pictures(root, names)
    bad = root / "train" / "all" / "7.png"
    content = bytearray(bad.read_bytes())
    content[len(content) // 2] ^= 0xFF
    bad.write_bytes(content)
    arguments = [*runs.CONV, f"--data_dir={root}", "--batch_size=8"]
    arguments += ["--dataset=image_folder", "--validation_fraction=0"]
    with pytest.raises(data.DataError, match=re.escape(f"damaged at {bad}")):
        train.train(options(tmp_path / "run", *arguments))


def test_input_that_fails_once_is_an_error_of_its_own(tmp_path, monkeypatch):
    def failing(*arguments, **options):
        raise tf.errors.UnavailableError(None, None, "the network is down")
        yield

    monkeypatch.setattr(devices, "batches", failing)
    with pytest.raises(train.InputError, match="read: the network is down"):
        train.train(options(tmp_path))


def test_a_worker_lost_after_all_is_written_is_no_error(tmp_path, monkeypatch):
    mean, done = devices.mean, []

    def lost(*arguments):
        if done:
            raise tf.errors.UnavailableError(None, None, "it is gone")
        return mean(*arguments)

    monkeypatch.setattr(devices, "mean", lost)
    monkeypatch.setattr(
        train.results, "finish", lambda *arguments: done.append(1)
    )
    train.train(options(tmp_path, *runs.CONV, "--steps=1"))
    assert done


class Dies(callbacks.TrainingCheckpoint):
    """Dies before it saves step 4."""

    def save(self, step):
        if step == 4:
            raise KeyboardInterrupt
        super().save(step)


def test_best_checkpoint_is_the_trained_model(tmp_path, monkeypatch, capsys):
    """Of a run that died between the best and the next checkpoint."""
    values = {2: 1.0, 4: 3.0, 6: 2.0}
    monkeypatch.setattr(
        callbacks.KeepBest, "measure", lambda self: values[self.model.step]
    )
    flags = ["--keep_best=psnr", "--steps=6", "--metrics=images"]
    run = options(tmp_path, *runs.CONV, *flags)
    with monkeypatch.context() as context:
        context.setattr(callbacks, "TrainingCheckpoint", Dies)
        with pytest.raises(KeyboardInterrupt):
            train.train(run)
    expected = ["best-00000004", "step-00000002"]
    assert names(tmp_path / "checkpoints") == expected
    train.train(run)
    errors = capsys.readouterr().err
    assert "Going on from step 2 of 6" in errors
    assert "The best is of step 4." in errors
    (best,) = (tmp_path / "checkpoints").glob("best-*")
    facts = {"metric": "psnr", "value": 3.0, "step": 4, "images": 70}
    assert json.loads((best / "best.json").read_text()) == facts
    evaluation = json.loads((tmp_path / "evaluation.json").read_text())
    assert evaluation["step"] == 4


def flip_a_bit(folder):
    path = folder / "checkpoint.data-00000-of-00001"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [flip_a_bit, shutil.rmtree])
def test_without_the_best_checkpoint_a_run_ends_with_the_last(
    workdir, capsys, damage
):
    expected = building.trained_model(workdir).get_weights()
    shutil.rmtree(workdir / "model")
    checkpoints = workdir / "checkpoints"
    best = checkpoints / "best-00000002"
    shutil.copytree(checkpoints / "step-00000002", best)
    facts = {"metric": "psnr", "value": 2.0, "step": 2, "images": 70}
    (best / "best.json").write_text(json.dumps(facts))
    recorded = json.loads((workdir / "flags.json").read_text())
    recorded["keep_best"] = "psnr"
    (workdir / "flags.json").write_text(json.dumps(recorded))
    damage(best)
    aside = [f"damaged-{best.name}"] if best.exists() else []
    run = options(workdir, "--keep_best=psnr")
    train.train(run)
    assert run.step == 4
    errors = capsys.readouterr().err
    said = f"{best} can't be read: .* It is set aside"
    assert len(re.findall(said, errors)) == len(aside)
    assert "There is no best checkpoint: the last is of step 4." in errors
    assert names(checkpoints) == [*aside, "step-00000002", "step-00000004"]
    found = building.trained_model(workdir).get_weights()
    for one, other in zip(expected, found):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "text", ["[]", '{"step": 4, "value": NaN}', '{"step": 2, "value": 12.5}']
)
def test_facts_of_another_kind_are_refused(tmp_path, text):
    path = tmp_path / "best-00000004"
    path.mkdir()
    (path / "best.json").write_text(text)
    with pytest.raises(callbacks.CheckpointError, match=re.escape(str(path))):
        best_facts(tmp_path)


def test_metrics_of_the_best_are_those_of_the_evaluation(finished, model):
    source = building.Splits(options(finished))["validation"]
    callbacks.TrainingCheckpoint(finished / "checkpoints").restore(model)
    *_, figures = reconstruction_figures(model, data.load_arrays(source)[0])
    images = building.float_images(source, None)
    for metric in ("psnr", "ssim", "cosine"):
        keeper = callbacks.KeepBest(None, metric, images, 6)
        keeper.set_model(model)
        assert keeper.measure(30) == pytest.approx(figures[metric], abs=1e-4)
