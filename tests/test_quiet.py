"""What is printed when the package is imported; see also test_wheel.py."""

import os

import pytest

from keras_csc import quiet

CUDA = "E0000 cuda_platform.cc:52] failed call to cuInit: ..."


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
