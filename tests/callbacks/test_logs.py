"""What a run shows, in a line and in TensorBoard."""

import io
import re
import resource
import shutil
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_multiplexer

from keras_csc import callbacks
from keras_csc.callbacks import logs
from keras_csc.losses import TranscriptionGame
from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.terminal import LiveLine


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
        events = self.runs.Tensors("training", "quality/shown_psnr")
        self.steps.append([event.step for event in events])


class Line(callbacks.ProgressLine):
    """Notes that it was ended."""

    def on_train_end(self, logs=None):
        self.line.end = lambda: setattr(self, "ended", True)
        super().on_train_end(logs)


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """3 epochs of 2 steps: the run's folder, history, reader and line."""
    folder, stream = tmp_path_factory.mktemp("run"), io.StringIO()
    reader = Reader(folder / "tensorboard")
    line = Line(6, 4)
    line.line = LiveLine(stream, seconds=0)
    model = ClosedLoopAutoencoder.from_preset(
        "digits", load_weights=False, filters=(4,), feature_dim=8, iterations=2
    )
    model.compile(game=TranscriptionGame(multistage=100.0))
    images = np.random.default_rng(0).uniform(-1, 1, (8, 16, 16, 1))
    images = images.astype("float32")
    log = callbacks.RunLog(folder, images, 4, draw_every=1)
    history = model.fit(
        images,
        batch_size=4,
        epochs=3,
        verbose=0,
        callbacks=[log, reader, line],
    )
    return types.SimpleNamespace(
        folder=folder,
        history=history.history,
        reader=reader,
        ended=line.ended,
        lines=stream.getvalue().splitlines(),
    )


def test_line_has_what_is_of_use_first(watched):
    lines = watched.lines
    assert lines[:2] == ["reading and tracing the first step", "step 1/6"]
    assert re.fullmatch(r"step 2/6  \S+ s left  [\d,]+ images/s", lines[2])
    assert len(lines) == 6
    assert re.fullmatch(
        r"step 6/6  0 s left  [\d,]+ images/s  PSNR -?\d+\.\d dB  "
        r"objective \S+  consistency \S+  multistage \S+",
        lines[-1],
    )
    assert watched.ended


def test_psnr_of_the_log_is_there_for_other_callbacks(watched):
    history = watched.history
    assert len(history["shown_psnr"]) == 3
    assert f"PSNR {history['shown_psnr'][-1]:.1f} dB" in watched.lines[-1]


SCALARS = {
    "game/objective",
    "game/loss",
    "game/consistency",
    "game/multistage",
    "game/residual",
    "game/learning_rate",
    "rates/features_rate",
    "rates/reconstructed_rate",
    "codes/zero_fraction/stage_1",
    "codes/dead_atoms/stage_1",
    "codes/operator_norm/stage_1",
    "quality/shown_psnr",
    "time/images_per_second",
}
PICTURES = {"quality/reconstructions", "codes/atoms_1"}


def test_scalars_move_as_one_writer_has_a_folder(watched):
    assert watched.reader.steps == [[2], [2, 4], [2, 4, 6]]
    files = list((watched.folder / "tensorboard").rglob("events.*"))
    assert len(files) == 1


def test_tags_are_grouped_and_described(watched):
    reader = watched.reader
    reader.runs.Reload()
    runs = reader.runs.Runs()
    assert set(runs["training"]["tensors"]) == SCALARS | PICTURES
    for name in SCALARS:
        metadata = reader.runs.SummaryMetadata("training", name)
        assert len(metadata.summary_description) > 10


def test_terms_of_a_game_have_a_description():
    game = TranscriptionGame("multi", 2, multistage=1.0)
    described = {*logs.TAGS["game"], *logs.TAGS["rates"]}
    others = {"loss", "learning_rate", "decoder_learning_rate"}
    assert described - others == set(game.term_names)
    name, description = logs.tag("surprise")
    assert name == "game/surprise" and "surprise" in description


def test_full_disk_is_an_error_of_the_system(tmp_path):
    """Which `train.py` answers with one line."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    log = callbacks.RunLog(tmp_path, (), 4)
    log.set_model(types.SimpleNamespace(step=0))
    log.on_train_begin()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError) as error:
            for step in range(100):
                with log._at(step):
                    tf.summary.scalar("x", 1.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "File too large" in error.value.strerror
    assert error.value.filename == str(tmp_path)
    shutil.rmtree(tmp_path / "tensorboard")
    (tmp_path / "tensorboard").write_text("")
    with pytest.raises(OSError, match="tensorboard"):
        log.on_train_begin()
