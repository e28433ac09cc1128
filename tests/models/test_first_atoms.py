"""First atoms, principal components or patches, against NumPy's."""

import functools

import numpy as np
import pytest

from keras_csc import data
from keras_csc.models import ClosedLoopAutoencoder
from keras_csc.models import initialize_from
from keras_csc.models import initialize_from_patches

OFFSET = 1.5


@pytest.fixture(scope="module")
def images():
    pixels, _ = data.load_arrays(
        data.open_dataset("digits", "train", (16, 16, 1))
    )
    return (pixels / 127.5 - 1.0).astype("float32")


def make(images, offset=OFFSET, **changes):
    """An autoencoder that starts from the images; `λ = 0` by default."""
    changes = {
        "filters": (16, 24),
        "sparsity": 0.0,
        "iterations": 1,
        "kernel_size": 4,
        "strides": 2,
        "lapped": False,
        "feature_dim": 32,
    } | changes
    model = ClosedLoopAutoencoder.from_preset(
        "digits", load_weights=False, **changes
    )
    initialize_from(model, images, offset)
    return model


@pytest.fixture(scope="module")
def made(images):
    """Returns a function of changes: `make` of all images, once for each."""
    return functools.cache(lambda **changes: make(images, **changes))


@pytest.fixture(scope="module")
def encoder(made):
    return made().encoder


@pytest.mark.parametrize(
    "changes", [{}, {"features": "map", "feature_dim": 24}], ids=str
)
def test_moving_averages_are_the_moments_of_the_images(images, made, changes):
    """Inference encodes as training does, from the start."""
    model = made(**changes)
    inference, training = model.encode(images), model.encode(images, True)
    np.testing.assert_allclose(inference, training, atol=2e-3)


def normalized(encoder, images, number):
    parts = encoder.parts(number, encoder.activations(images).codes[number])
    return parts.numpy(), encoder.normalizations[number](parts).numpy()


def signed(parts):
    positive, negative = np.split(parts.astype("float64"), 2, -1)
    return positive - negative


def test_stage_keeps_as_much_variance_as_principal_components(encoder, images):
    """Of the codes below; their absolute values would draw nothing."""
    _, parts = normalized(encoder, images, 0)
    signal = np.pad(parts, [(0, 0), (1, 1), (1, 1), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(
        signal, (4, 4), axis=(1, 2)
    )[:, ::2, ::2]
    patches = windows.transpose(0, 1, 2, 4, 5, 3)
    codes = signed(patches).reshape(-1, 4 * 4 * 16)
    spectrum = np.linalg.eigvalsh(np.cov(codes.T))
    atoms = encoder.coding_layers[1].kernel.numpy().reshape(-1, 24)
    np.testing.assert_allclose(atoms.T @ atoms, np.eye(24), atol=1e-5)
    kept = 2 * np.var(patches.reshape(-1, 4 * 4 * 32) @ atoms, axis=0).sum()
    assert kept == pytest.approx(spectrum[-24:].sum(), rel=1e-3)


def test_more_atoms_than_codes_code_their_absolute_values_too(images):
    blocks = {"kernel_size": (4, 2), "strides": (4, 2)}
    encoder = make(images, filters=(16, 96), **blocks).encoder
    atoms = encoder.coding_layers[1].kernel.numpy()
    np.testing.assert_array_equal(atoms[:, :, :16, :64], -atoms[:, :, 16:, :64])
    np.testing.assert_array_equal(atoms[:, :, :16, 64:], atoms[:, :, 16:, 64:])
    atoms = atoms.reshape(-1, 96)
    np.testing.assert_allclose(atoms.T @ atoms, np.eye(96), atol=1e-5)


def test_features_lie_around_a_centre_at_the_offset(encoder, images):
    signal = normalized(encoder, images, 1)[1]
    atoms = encoder.head.kernel.numpy().reshape(-1, 32)
    np.testing.assert_allclose(atoms.T @ atoms, np.eye(32), atol=1e-5)
    features = signal.reshape(len(images), -1) @ atoms
    constant, rest = features[:, -1], features[:, :-1]
    energy = np.mean(np.sum(rest**2, 1))
    assert constant.mean() == pytest.approx(OFFSET * np.sqrt(energy), rel=0.01)
    assert constant.std() < 0.1 * np.sqrt(energy)
    codes = signed(signal).reshape(len(images), -1)
    spectrum = np.linalg.eigvalsh(codes.T @ codes / len(codes))
    assert 2 * energy == pytest.approx(spectrum[-31:].sum(), rel=1e-3)


def test_a_linear_network_begins_as_principal_components_of_images(images):
    """Atoms apart and `λ = 0` lose nothing but by the number of features."""
    linear = {"kernel_size": (4, 2), "strides": (4, 2), "rectified": False}
    model = make(images, 16.0, filters=(16, 64), **linear)
    error = np.sum((model.reconstruct(images) - images) ** 2)
    pixels = images.reshape(len(images), -1).astype("float64")
    spectrum = np.linalg.eigvalsh(np.cov(pixels.T))
    best = len(images) * spectrum[:-31].sum()
    assert error < 1.1 * best


def test_images_that_make_no_atoms_are_an_error(images):
    bad = images.copy()
    bad[3, 2, 1] = np.nan
    for given, words in (
        (images[:20], "as many images as features, 32"),
        (bad, r"finite.* Row \[3\]"),
        (images[:, :8], r"\(batch, 16, 16, 1\)"),
        (np.full_like(images, 0.5), "images with contrast"),
    ):
        with pytest.raises(ValueError, match=words):
            make(given)
    for number in (1, 4 * 4 * 2 + 2):
        with pytest.raises(ValueError, match=f"at most 33: .*32 .*{number}"):
            make(images, filters=(16, 2), feature_dim=number)


def test_nonnegative_codes_get_every_component_in_both_signs(images):
    model = make(images, filters=(32, 24), nonnegative=True)
    kernel = model.encoder.coding_layers[0].kernel.numpy().reshape(16, 32)
    np.testing.assert_array_equal(kernel[:, :16], -kernel[:, 16:])
    np.testing.assert_allclose(kernel @ kernel.T, 2 * np.eye(16), atol=1e-5)
    # With `λ = 0` one step goes as far towards every image: nothing is lost.
    layer = model.encoder.coding_layers[0]
    made = layer.synthesize(layer(images[:50]))
    way = 4 / layer.operator_norm  # four patches hold a pixel
    inside = np.s_[:, 2:-2, 2:-2]
    np.testing.assert_allclose(
        made[inside], way * images[:50][inside], atol=1e-4
    )


# === Patches ===


def plain(**changes):
    return ClosedLoopAutoencoder.from_preset(
        "digits",
        load_weights=False,
        filters=(16, 24),
        feature_dim=32,
        **changes,
    )


def draw():
    rng = np.random.default_rng(0)
    return rng.uniform(-1, 1, (20, 16, 16, 1)).astype("float32")


def windows(images):
    """All patches, as rows of norm 1."""
    views = np.lib.stride_tricks.sliding_window_view(
        images[..., 0], (4, 4), axis=(1, 2)
    )
    rows = views.reshape(-1, 16)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_first_atoms_are_patches_of_either_sign():
    model, images = plain(tight_frame=False), draw()
    initialize_from_patches(model, images)
    kernel = model.encoder.coding_layers[0].kernel
    products = windows(images) @ np.asarray(kernel).reshape(16, -1)
    closest = np.abs(products).max(0)
    np.testing.assert_allclose(closest, 1, atol=1e-5)
    signs = products[np.abs(products).argmax(0), np.arange(16)]
    assert len(set(np.sign(signs))) == 2
    assert model.decoder.calibrated


def test_flat_patches_are_left_out():
    images = np.zeros((10, 16, 16, 1), "float32")
    images[:, 8:] = 1
    model = plain(tight_frame=False)
    initialize_from_patches(model, images)
    atoms = model.encoder.coding_layers[0].kernel.numpy()
    assert (atoms.std((0, 1, 2)) > 0.1).all()


@pytest.mark.parametrize(
    "changes, images, word",
    [
        ({}, np.ones((5, 16, 16, 1), "float32"), "contrast"),
        ({"kernel_size": 17, "lapped": False}, draw(), "17×17 pixels need"),
    ],
    ids=["flat", "atoms"],
)
def test_what_has_no_patches_is_refused(changes, images, word):
    with pytest.raises(ValueError, match=word):
        initialize_from_patches(plain(**changes), images)
