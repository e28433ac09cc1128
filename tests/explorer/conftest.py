import numpy as np
import pytest

from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import spread_weights


@pytest.fixture(scope="session")
def make():
    """Makes a small model whose weights are of order one."""

    def made(**changes):
        model = small_autoencoder(**changes)
        spread_weights(model)
        return model

    return made


@pytest.fixture(scope="session")
def draw():
    """Draws an image."""

    def drawn(*shape, seed=0):
        rng = np.random.default_rng(seed)
        return rng.uniform(-1, 1, shape).astype("float32")

    return drawn
