"""Imports Keras, and leaves out TensorFlow's lines that report no fault.

No log level silences them. With `TF_CPP_MIN_LOG_LEVEL` at 0 or 1 all of them
are shown, also the last words of a process that TensorFlow ends on import.
"""

import contextlib
import importlib
import os
import re
import sys
import tempfile

NOISE = (
    "All log messages before absl|oneDNN custom operations|cpu_feature_guard"
    "|To enable the following instructions"
)
# Where there is no GPU.
NOISE_OF_CUDA = "Could not find cuda drivers|failed call to cuInit"
GPUS = ("/dev/nvidiactl", "/dev/dxg")


@contextlib.contextmanager
def without_noise():
    """Within the context, text on the standard error waits for its end."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # Then nothing is held back.
            file = stack.enter_context(tempfile.TemporaryFile())
            kept = os.dup(2)
            os.dup2(file.fileno(), 2)
            stack.callback(_show, file, kept)
        yield


def _show(file, kept):
    os.dup2(kept, 2)
    os.close(kept)
    noise = NOISE if has_gpu() else f"{NOISE}|{NOISE_OF_CUDA}"
    file.seek(0)
    for line in file:
        if not re.search(noise.encode(), line):
            os.write(2, line)


def has_gpu():
    """Whether this machine has a device for CUDA."""
    return any(map(os.path.exists, GPUS))


if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2") not in ("0", "1"):
    with without_noise():
        importlib.import_module("keras")
        if "tensorflow" in sys.modules and not has_gpu():
            # It looks for CUDA now, which it would miss aloud later.
            sys.modules["tensorflow"].config.list_physical_devices()
