"""Patches as the first atoms."""

import numpy as np
import pytest

from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.models import initialize_from_patches


def make(**changes):
    return ClosedLoopAutoencoder.from_preset(
        "digits",
        load_weights=False,
        filters=(16, 24),
        feature_dim=32,
        **changes,
    )


def draw(count=20):
    rng = np.random.default_rng(0)
    return rng.uniform(-1, 1, (count, 16, 16, 1)).astype("float32")


def windows(images):
    """All patches, as rows of norm 1."""
    views = np.lib.stride_tricks.sliding_window_view(
        images[..., 0], (4, 4), axis=(1, 2)
    )
    rows = views.reshape(-1, 16)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("network", ["csc", "conv"])
def test_first_atoms_are_patches_of_either_sign(network):
    model, images = make(network=network, tight_frame=False), draw()
    before = model.get_weights()
    initialize_from_patches(model, images)
    kernel = model.encoder.coding_layers[0].kernel
    products = windows(images) @ np.asarray(kernel).reshape(16, -1)
    closest = np.abs(products).max(0)
    np.testing.assert_allclose(closest, 1, atol=1e-5)
    signs = products[np.abs(products).argmax(0), np.arange(16)]
    assert len(set(np.sign(signs))) == 2
    if network == "csc":
        assert model.decoder.calibrated
        return
    for weight, value in zip(model.weights, before):
        assert weight is kernel or np.array_equal(weight, value)


def test_flat_patches_are_left_out():
    images = np.zeros((10, 16, 16, 1), "float32")
    images[:, 8:] = 1
    model = make(tight_frame=False)
    initialize_from_patches(model, images)
    atoms = model.encoder.coding_layers[0].kernel.numpy()
    assert (atoms.std((0, 1, 2)) > 0.1).all()


@pytest.mark.parametrize(
    "changes, images, word",
    [
        ({}, np.ones((5, 16, 16, 1), "float32"), "contrast"),
        ({}, draw()[:, :8], r"\(batch, 16, 16, 1\)"),
        ({}, np.where(draw() > 0.999, np.nan, draw()), "finite"),
        ({"kernel_size": 17}, draw(), "17×17 pixels need"),
    ],
    ids=["flat", "size", "NaN", "atoms"],
)
def test_what_has_no_patches_is_refused(changes, images, word):
    with pytest.raises(ValueError, match=word):
        initialize_from_patches(make(**changes), images)
