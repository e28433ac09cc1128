import numpy as np
import pytest

from keras_csc.models import ClosedLoopAutoencoder


@pytest.fixture(scope="module")
def fit():
    """Returns a function that trains a model for 3 epochs of 2 steps.

    It takes a function that makes the callbacks of some images, and returns
    the history.
    """

    def fit(make_callbacks):
        model = ClosedLoopAutoencoder.from_preset(
            "digits",
            load_weights=False,
            filters=(4,),
            feature_dim=8,
            iterations=2,
        )
        model.compile("adam")
        rng = np.random.default_rng(0)
        images = rng.uniform(-1, 1, (8, 16, 16, 1)).astype("float32")
        callbacks = make_callbacks(images)
        return model.fit(
            images, batch_size=4, epochs=3, verbose=0, callbacks=callbacks
        )

    return fit
