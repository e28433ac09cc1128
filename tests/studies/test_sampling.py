"""The table of samples by Gaussians of a class and temperature."""

import keras
import numpy as np

from keras_csc import evaluation
from studies import sampling
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import spread_weights


def images_and_labels(count, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 8, 8, 1), np.uint8)
    return images, np.arange(count, dtype=np.int32) % 3


def describe(images):
    """How bright the quarters of images are, and classes by that."""
    features = keras.ops.average_pool(images, 4, 4)
    features = keras.ops.reshape(features, (-1, 4))
    return features, keras.ops.softmax(20 * features[:, :3])


def test_a_line_for_every_density_and_temperature():
    keras.utils.set_random_seed(0)
    model = small_autoencoder()
    spread_weights(model)
    judge = evaluation.FeatureExtractor(describe, "judge", "score", {})
    train, (images, labels) = images_and_labels(60, 1), images_and_labels(30, 2)
    lines = list(
        sampling.table(model, train, (images, labels), judge, (1, 2), (0.5, 2))
    )
    cells = [[c.strip() for c in each.split("|")[1:4]] for each in lines[2:]]
    assert [each[:2] for each in cells] == [
        ["1", "0.5"], ["1", "2"], ["2", "0.5"], ["2", "2"],
    ]  # fmt: skip
    # One Gaussian at temperature 2 again.
    model.fit_density(*train)
    made = model.decode(model.density.sample(30, labels, 0, 2.0))
    found = evaluation.compare(judge, images, np.asarray(made))
    assert cells[1][2] == f"{found['frechet_distance']:.2f}"
