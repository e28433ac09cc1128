"""A short training that callbacks watch, once for all of their tests."""

import io
import types

import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing import event_multiplexer

from keras_csc import callbacks
from keras_csc.models import ClosedLoopAutoencoder


class Reader(keras.callbacks.Callback):
    """Reads what is there as `tensorboard --load_fast=false` does."""

    def __init__(self, folder):
        super().__init__()
        self.runs = event_multiplexer.EventMultiplexer()
        self.folder = str(folder)
        self.steps = []

    def on_epoch_end(self, epoch, logs=None):
        self.runs.AddRunsFromDirectory(self.folder)
        self.runs.Reload()
        events = self.runs.Tensors("scalars", "quality/shown_psnr")
        self.steps.append([event.step for event in events])


class Line(callbacks.ProgressLine):
    """Notes that it was ended."""

    def on_train_end(self, logs=None):
        self.line.end = lambda: setattr(self, "ended", True)
        super().on_train_end(logs)


@pytest.fixture(scope="session")
def watched(tmp_path_factory):
    """3 epochs of 2 steps: the run's folder, history, reader and line."""
    folder, stream = tmp_path_factory.mktemp("run"), io.StringIO()
    reader = Reader(folder / "tensorboard")
    line = Line(6, 4, stream, seconds=0)
    model = ClosedLoopAutoencoder.from_preset(
        "digits", load_weights=False, filters=(4,), feature_dim=8, iterations=2
    )
    model.compile()
    images = np.random.default_rng(0).uniform(-1, 1, (8, 16, 16, 1))
    images = images.astype("float32")
    scalars = callbacks.ScalarLog(folder, images, 4)
    pictures = callbacks.PictureLog(folder, images, every_steps=1)
    history = model.fit(
        images,
        batch_size=4,
        epochs=3,
        verbose=0,
        callbacks=[scalars, pictures, reader, line],
    )
    return types.SimpleNamespace(
        folder=folder,
        history=history.history,
        reader=reader,
        ended=line.ended,
        lines=stream.getvalue().splitlines(),
    )
