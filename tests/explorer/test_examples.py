"""Examples suit the model, and need no network."""

import numpy as np

from keras_csc import data
from keras_csc.explorer import examples_of
from keras_csc.models import ClosedLoopAutoencoder


def model_of(preset, **changes):
    return ClosedLoopAutoencoder.from_preset(
        preset, load_weights=False, filters=(4, 4), feature_dim=6, **changes
    )


def test_digits_of_all_classes():
    found = examples_of(model_of("digits"))
    assert [each.label for each in found[:10]] == [str(n) for n in range(10)]
    source = data.open_dataset("digits", "test", (16, 16, 1))
    pixels, labels = data.load_arrays(source)
    for each in found:
        same = np.all(
            np.abs(pixels - (each.image + 1) * 127.5) < 0.01, (1, 2, 3)
        )
        assert labels[np.argmax(same)] == int(each.label) and np.any(same)


def test_photographs_for_a_model_of_maps():
    found = examples_of(model_of("photographs"), count=3)
    assert [each.label for each in found] == ["astronaut", "cat", "china"]
    for each in found:
        assert each.image.ndim == 3 and each.image.shape[2] == 3
        assert each.image.shape[0] * each.image.shape[1] <= 2**19
        assert each.image.min() >= -1 and each.image.max() <= 1


def test_images_that_a_density_draws():
    model = model_of("mnist")
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (40, 32, 32, 1)).astype("float32")
    model.fit_density(images, np.repeat([0, 2], 20))
    found = examples_of(model)
    assert [each.label for each in found] == [
        *("drawn: 0", "drawn: 0", "drawn: 2", "drawn: 2")
    ]
    again = examples_of(model)
    np.testing.assert_array_equal(found[3].image, again[3].image)
