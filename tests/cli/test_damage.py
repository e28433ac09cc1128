"""Damage, full disks and numbers that are not finite."""

import contextlib
import functools
import re
import resource
import shutil
import types

from keras_csc_cli import building
from keras_csc_cli import devices
from keras_csc_cli import running
from keras_csc_cli import train

import numpy as np
import pytest
import tensorflow as tf

from keras_csc import callbacks
from keras_csc import data
from keras_csc.callbacks import checkpoints
from tests.helpers import runs

pytestmark = pytest.mark.usefixtures("eager")

TINY = [
    *runs.TINY,
    "--steps=4",
    "--save_every=2",
    "--metrics=",
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
def full_disk():
    """Within the context, no file can grow past 1,000 bytes.

    Not even the one that pytest writes to, if its output goes to a file.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
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


def test_what_stands_in_a_checkpoints_place_is_set_aside(checkpoint, model):
    folder = checkpoint.path(4)
    shutil.rmtree(folder)
    folder.symlink_to("nowhere")
    assert checkpoint.restore(model) == 2
    checkpoint.save(4)
    assert (folder / "checkpoint.index").is_file()
    assert folder.with_name("damaged-step-00000004").is_symlink()


def test_checkpoint_that_is_not_finite_is_passed_over(
    workdir, checkpoint, model, capsys
):
    checkpoint.restore(model)
    infinite(model)
    shutil.rmtree(checkpoint.path(4))
    checkpoint.write_folder(checkpoint.path(4))
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
    assert checkpoint.restore(model) == 2
    checkpoint.save(4)
    assert f"{checkpoint.path(7)} can't be read: " in capsys.readouterr().err
    assert {2, 4} <= set(checkpoint.steps())


def test_folders_of_the_users_among_checkpoints_stay(
    checkpoint, model, monkeypatch
):
    mine = ["step-1", "step-00000002-mine", "best-1", "step-000000003"]
    for name in mine:
        (checkpoint.folder / name).mkdir()
    monkeypatch.setattr(checkpoints, "KEPT", 1)
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
        (4, False, "weight '.*kernel' is not .* step 4"),
        (3, True, "The term '.*' is (nan|inf) at step 4"),
    ],
)
def test_what_is_not_finite_is_named_and_never_saved(
    tmp_path, after_step, step, last, message
):
    after_step(step, infinite, last)
    flags = ["--steps=100", "--save_every=2"]
    with pytest.raises(callbacks.NonFiniteError, match=message):
        train.train(options(tmp_path, *flags))
    assert names(tmp_path / "checkpoints") == ["step-00000002"]
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


def test_damage_within_streamed_images_is_named(tmp_path, monkeypatch):
    """Images that are too many for memory are read as they are needed."""
    monkeypatch.setattr(running, "CACHE_BYTES", 0)
    root = tmp_path / "images"
    for folder in ("train", "test"):
        names = [f"{folder}/all/{index}.png" for index in range(16)]
        runs.write_pictures(root, names)
    bad = root / "train" / "all" / "7.png"
    content = bytearray(bad.read_bytes())
    content[len(content) // 2] ^= 0xFF
    bad.write_bytes(content)
    arguments = [*runs.QUICK, f"--data_dir={root}", "--batch_size=8"]
    arguments += ["--dataset=image_folder", "--validation_fraction=0"]
    with pytest.raises(data.DataError, match=re.escape(f"damaged at {bad}")):
        train.train(options(tmp_path / "run", *arguments))


def test_input_that_fails_once_is_an_error_of_its_own(tmp_path, monkeypatch):
    def failing(*arguments, **options):
        raise tf.errors.UnavailableError(None, None, "the network is down")
        yield

    monkeypatch.setattr(devices, "batches", failing)
    with pytest.raises(running.InputError, match="read: the network is down"):
        train.train(options(tmp_path))


def test_a_worker_lost_after_all_is_written_is_no_error(tmp_path, monkeypatch):
    mean, done = devices.mean, []

    def lost(*arguments):
        if done:
            raise tf.errors.UnavailableError(None, None, "it is gone")
        return mean(*arguments)

    monkeypatch.setattr(devices, "mean", lost)
    monkeypatch.setattr(
        train.Recipe, "finish", lambda *arguments: done.append(1)
    )
    train.train(options(tmp_path, *runs.QUICK, "--steps=1"))
    assert done
