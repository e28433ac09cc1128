"""Training of the denoiser: its batches, and that it goes on exactly."""

import functools
import json
import os
import signal

from keras_csc_cli import interruption
from keras_csc_cli import train_denoiser
from keras_csc_cli.command_line import UsageError
from keras_csc_cli.interruption import Interrupted
from keras_csc_cli.train_denoiser import noisy_batches

import keras
import numpy as np
import pytest
import skimage.data
import tensorflow as tf
from PIL import Image

from keras_csc.files import locked
from keras_csc.restoration import SparseDenoiser
from keras_csc.restoration.geometry import BORDER
from tests.helpers import runs


@pytest.fixture(autouse=True)
def short_epochs(monkeypatch):
    monkeypatch.setattr(train_denoiser, "EPOCH", 2)
    monkeypatch.setattr(train_denoiser, "HELD_OUT", 2)
    monkeypatch.setattr(train_denoiser, "BATCH", 2)


tiny = functools.partial(SparseDenoiser, 4, iterations=1)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for number in range(30):
        image = Image.fromarray(skimage.data.astronaut()[10 * number :][:140])
        image.save(folder / f"{number}.png")
    return folder


@pytest.fixture
def options(photographs):
    def given(workdir, **others):
        few = {"data_dir": photographs, "workdir": workdir, "steps": 4}
        few |= others
        return runs.given("train-denoiser", **few)

    return given


def test_batches_are_a_function_of_seed_and_step(options):
    source = train_denoiser._opened(options("unused"), "train")

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


def test_a_stopped_training_goes_on_exactly(
    options, tmp_path, monkeypatch, capsys
):
    once, twice = tmp_path / "once", tmp_path / "twice"
    interruption.install()
    train_denoiser.main(options(once), tiny)

    class Stopping(keras.callbacks.SwapEMAWeights):
        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.optimizer.iterations) == 1:
                os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(keras.callbacks, "SwapEMAWeights", Stopping)
        with pytest.raises(Interrupted, match="stopped at step [12]"):
            train_denoiser.main(options(twice), tiny)
    interruption.install()
    assert not (twice / "denoiser.keras").exists()
    with pytest.raises(UsageError, match="another --seed"):
        train_denoiser.main(options(twice, seed=1))
    train_denoiser.main(options(twice), tiny)
    assert "Going on from step" in capsys.readouterr().out
    pair = [
        keras.saving.load_model(folder / "denoiser.keras").get_weights()
        for folder in (once, twice)
    ]
    for weight, other in zip(*pair):
        np.testing.assert_allclose(weight, other, atol=1e-6)
    record = json.loads((twice / "run.json").read_text())
    assert record["weights"] == sum(weight.size for weight in pair[0])
    assert record["psnr"]["mean"] > 15


def test_a_folder_in_use_is_refused(options, tmp_path):
    with locked(tmp_path / ".lock"):
        with pytest.raises(UsageError, match="in use by another process"):
            train_denoiser.main(options(tmp_path))
    (tmp_path / "denoiser.keras").touch()
    with pytest.raises(UsageError, match="that no run wrote there"):
        train_denoiser.main(options(tmp_path))
