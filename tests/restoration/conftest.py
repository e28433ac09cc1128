import numpy as np
import pytest
import scipy.fft
import skimage.data

from keras_csc.restoration import tasks


@pytest.fixture(scope="session")
def cosines():
    """The discrete cosine transform of 4×4 pixels, but its constants."""
    wave = scipy.fft.dct(np.eye(4), axis=1, norm="ortho")
    atoms = np.einsum("iu,jv->ijuv", wave, wave).reshape(4, 4, 1, -1)
    return atoms[..., 1:].astype("float32")


@pytest.fixture
def few_atoms(cosines, monkeypatch):
    """The cosines in place of the dictionary that ships."""
    monkeypatch.setattr(tasks, "default_dictionary", lambda channels: cosines)


@pytest.fixture(scope="session")
def photograph():
    """A part of a photograph, 40×44, in [0, 1]."""
    camera = skimage.data.camera()[160:240, 200:288] / 255
    return camera.reshape(40, 2, 44, 2).mean((1, 3))
