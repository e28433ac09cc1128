"""The line that training shows."""

import re


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
