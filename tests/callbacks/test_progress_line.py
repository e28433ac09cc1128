"""The line that training shows."""

import io
import re

import pytest

from keras_csc import callbacks


class Line(callbacks.ProgressLine):
    """Notes that it was ended."""

    def on_train_end(self, logs=None):
        self.line.end = lambda: setattr(self, "ended", True)
        super().on_train_end(logs)


@pytest.fixture(scope="module")
def shown(fit, tmp_path_factory):
    """History, callback and lines."""
    stream, folder = io.StringIO(), tmp_path_factory.mktemp("run")
    line = Line(6, 4, stream, seconds=0)
    history = fit(lambda images: [callbacks.ScalarLog(folder, images, 4), line])
    return history.history, line, stream.getvalue().splitlines()


def test_line_has_what_is_of_use_first(shown):
    _, _, lines = shown
    assert lines[:2] == ["reading and tracing the first step", "step 1/6"]
    assert re.fullmatch(r"step 2/6  \S+ s left  [\d,]+ images/s", lines[2])
    assert len(lines) == 6
    assert re.fullmatch(
        r"step 6/6  0 s left  [\d,]+ images/s  PSNR -?\d+\.\d dB  "
        r"objective \S+  consistency \S+  multistage \S+",
        lines[-1],
    )


def test_end_of_training_ends_the_line(shown):
    """Also of one that is stopped long before its last step."""
    _, line, _ = shown
    assert line.ended


def test_psnr_of_the_log_is_there_for_other_callbacks(shown):
    history, _, lines = shown
    assert len(history["shown_psnr"]) == 3
    assert f"PSNR {history['shown_psnr'][-1]:.1f} dB" in lines[-1]
