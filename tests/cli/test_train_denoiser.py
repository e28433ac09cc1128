"""Training of the denoiser: its batches, and that it goes on exactly."""

import functools
import json
import os
import re
import shutil
import signal

from keras_csc_cli import interruption
from keras_csc_cli import train_denoiser
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.interruption import Interrupted
from keras_csc_cli.train_denoiser import noisy_batches

import numpy as np
import pytest
import skimage.data
import tensorflow as tf
from PIL import Image

from keras_csc import callbacks
from keras_csc.restoration import SparseDenoiser
from keras_csc.restoration.geometry import BORDER
from tests.helpers import runs


@pytest.fixture(scope="module", autouse=True)
def short_epochs():
    with pytest.MonkeyPatch.context() as patch:
        for name in ("EPOCH", "HELD_OUT", "BATCH"):
            patch.setattr(train_denoiser, name, 2)
        yield


tiny = functools.partial(SparseDenoiser, 4, iterations=1)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for number in range(30):
        image = Image.fromarray(skimage.data.astronaut()[10 * number :][:140])
        image.save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def options(photographs):
    def given(workdir, **others):
        few = {"data_dir": photographs, "workdir": workdir, "steps": 4}
        few |= others
        return runs.given("train-denoiser", **few)

    return given


def test_batches_are_a_function_of_seed_and_step(options):
    source = train_denoiser.opened(options("unused"), "train")

    def take(first_step):
        found = noisy_batches(source, 4, seed=3, first_step=first_step)
        return tf.nest.map_structure(np.asarray, next(iter(found)))

    third = iter(noisy_batches(source, 4, seed=3).skip(2))
    third = tf.nest.map_structure(np.asarray, next(third))
    tf.nest.map_structure(np.testing.assert_array_equal, take(2), third)
    (noisy, levels), images, weights = third
    inner = noisy[:, BORDER:-BORDER, BORDER:-BORDER]
    assert inner.shape == images.shape == (4, 48, 48, 1)
    assert images.min() >= 0 and images.max() <= 1
    np.testing.assert_allclose(
        np.std(inner - images, axis=(1, 2, 3)), levels, rtol=0.1
    )
    np.testing.assert_allclose(weights[:, 0, 0] * levels, 25 / 255, rtol=1e-5)
    assert len(set(levels)) == 4
    assert levels.min() > 3 / 255 and levels.max() < 55 / 255
    assert not np.array_equal(take(3)[1], images)


def weights(folder):
    return SparseDenoiser.from_preset(folder / "model").get_weights()


@pytest.fixture(scope="module")
def finished(options, tmp_path_factory):
    """A run that was trained to its end, with checkpoints at 2 and 4."""
    folder = tmp_path_factory.mktemp("run") / "finished"
    train_denoiser.main(options(folder), tiny)
    return folder


def test_a_stopped_training_goes_on_exactly(
    options, tmp_path, finished, after_step, capsys
):
    interruption.install()
    after_step(2, lambda model: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Interrupted, match="stopped at step 3, which is saved"):
        train_denoiser.main(options(tmp_path), tiny)
    interruption.install()
    assert not (tmp_path / "model").exists()
    train_denoiser.main(options(tmp_path), tiny)
    assert "Going on from step 3" in capsys.readouterr().err
    for weight, other in zip(weights(finished), weights(tmp_path)):
        np.testing.assert_allclose(weight, other, atol=1e-6)
    figures = json.loads((tmp_path / "evaluation.json").read_text())
    assert figures["psnr"] > 15


def test_what_is_not_finite_is_never_saved(options, tmp_path, after_step):
    def infinite(model):
        model.slopes.assign(model.slopes * np.inf)

    after_step(3, infinite)
    with pytest.raises(callbacks.NonFiniteError, match="at step 4"):
        train_denoiser.main(options(tmp_path), tiny)
    assert os.listdir(tmp_path / "checkpoints") == ["step-00000002"]


def damaged(*steps):
    """Returns a function that cuts the index of checkpoints."""

    def cut(run):
        for step in steps:
            path = run / "checkpoints" / f"step-{step:08d}/checkpoint.index"
            path.write_bytes(path.read_bytes()[:-9])

    return cut


@pytest.mark.parametrize(
    "change, error, message",
    [
        (damaged(4), None, "is passed over.\nGoing on from step 2"),
        (damaged(2, 4), callbacks.CheckpointError, "None of the 2 checkpoints"),
        (lambda run: shutil.rmtree(run / "checkpoints"), UsageError,
         "no checkpoint to go on from"),
        (lambda run: (run / "flags.json").unlink(), UsageError,
         "holds checkpoints, .*model, .* which no run wrote"),
        (lambda run: (run / "run.json").write_text("{}"), UsageError,
         "run.json is damaged"),
    ],
)  # fmt: skip
def test_a_finished_run_whose_folder_was_changed(
    options, tmp_path, finished, capsys, change, error, message
):
    run = shutil.copytree(finished, tmp_path / "run")
    change(run)
    before = (run / "model" / "model.weights.h5").read_bytes()
    if error is None:
        train_denoiser.main(options(run), tiny)
        assert re.search(message, capsys.readouterr().err)
        for weight, other in zip(weights(finished), weights(run)):
            np.testing.assert_allclose(weight, other, atol=1e-6)
        return
    with pytest.raises(error, match=message):
        train_denoiser.main(options(run), tiny)
    assert (run / "model" / "model.weights.h5").read_bytes() == before


def test_other_flags_and_pictures_are_refused(options, finished, tmp_path):
    before = runs.contents(finished)
    names = [f"{number}.png" for number in range(30)]
    other = runs.write_pictures(tmp_path, names, (140, 512, 3))
    for given, message in (
        ({"seed": 1}, "seed was 0, is 1"),
        ({"data_dir": other}, "training images are not those"),
    ):
        with pytest.raises(UsageError, match=message):
            train_denoiser.main(options(finished, **given), tiny)
    assert runs.contents(finished) == before
