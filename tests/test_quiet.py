"""What is printed when the package is imported."""

import os
import pathlib
import subprocess
import sys

import pytest

from keras_csc import quiet

ROOT = pathlib.Path(__file__).parents[1]
CUDA = "E0000 cuda_platform.cc:52] failed call to cuInit: ..."


def test_the_import_and_a_first_operation_print_nothing():
    code = "import keras_csc, keras; keras.ops.zeros(1) + 1"
    finished = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
    )
    assert finished.returncode == 0
    if not quiet.has_gpu():
        assert (finished.stdout, finished.stderr) == ("", "")


@pytest.mark.parametrize("gpu", [False, True])
def test_what_is_no_noise_is_printed(monkeypatch, capfd, gpu):
    monkeypatch.setattr(quiet, "has_gpu", lambda: gpu)
    noise = "I0000 port.cc:153] oneDNN custom operations are on."
    said = ["W0000 gpu_device.cc:9] Cannot dlopen some GPU libraries.", noise]
    with pytest.raises(ImportError), quiet.without_noise():
        os.write(2, "\n".join([*said, CUDA, "the end"]).encode())
        raise ImportError
    expected = [said[0], *[CUDA] * gpu, "the end"]
    assert capfd.readouterr().err.splitlines() == expected


def test_without_a_folder_for_temporary_files_nothing_is_lost(
    monkeypatch, capfd
):
    def refuse():
        raise OSError

    monkeypatch.setattr(quiet.tempfile, "TemporaryFile", refuse)
    with quiet.without_noise():
        os.write(2, CUDA.encode())
    assert capfd.readouterr().err == CUDA
