"""The convolutional networks of the studies, and their first kernels."""

from keras_csc_cli import building
from keras_csc_cli import train_options

import numpy as np
import pytest

from keras_csc import data
from keras_csc.evaluation.quality import reconstruction_figures
from studies import baselines
from tests.helpers import references
from tests.helpers.reference_loop import all_weights

FLAGS = [
    "--dataset=digits",
    "--preset=digits",
    "--architecture=filters=16,24,feature_dim=32,kernel_size=4,strides=2",
    "--game=residual=0",
    "--steps=1",
]


def made(*flags, kind="conv"):
    options = train_options.parse([*FLAGS, *flags])
    return baselines.model(options, 10, kind), options


@pytest.fixture(scope="module")
def images():
    source = data.open_dataset("digits", "train", (16, 16, 1))
    return building.float_images(source, 1330)


@pytest.fixture(scope="module")
def model():
    autoencoder, options = made("--first_atoms=principal:1330:3")
    assert options.first_atoms == "random"  # the command makes no others
    return autoencoder


def residual(features, images):
    """Squared error of the best affine decoder."""
    inputs = np.column_stack([features, np.ones(len(features))])
    pixels = images.reshape(len(images), -1).astype("float64")
    return np.linalg.lstsq(inputs.astype("float64"), pixels)[1].sum()


def test_images_are_a_linear_function_of_the_first_features(model, images):
    """With twice the error of so many principal components of them."""
    error = residual(np.asarray(model.encode(images)), images)
    pixels = images.reshape(len(images), -1)
    spectrum = np.linalg.eigvalsh(np.cov(pixels.T.astype("float64")))
    best = len(images) * spectrum[:-31].sum()
    random, _ = made("--first_atoms=random")
    assert best < error < 2 * best
    assert error < 0.5 * residual(np.asarray(random.encode(images)), images)


def test_it_begins_with_one_set_of_kernels_and_the_moments_of_images(
    model, images
):
    encoder, decoder = model.encoder, model.decoder
    layers = [*encoder.convolutions, encoder.head]
    for layer, other in zip(decoder.convolutions, layers[::-1], strict=True):
        np.testing.assert_array_equal(layer.kernel, other.kernel)
    features = model.encode(images)
    inference = model.decode(features)
    training = model.decode(features, training=True)
    assert np.std(inference) > 0.1
    np.testing.assert_allclose(inference, training, atol=2e-3)


def test_features_are_those_of_plain_convolutions():
    model, _ = made("--first_atoms=random", "--dtype_policy=float64")
    rng = np.random.default_rng(0)
    signal = images = rng.uniform(-1, 1, (6, 16, 16, 1))
    encoder = model.encoder
    for layer, normalization in zip(
        encoder.convolutions, encoder.normalizations
    ):
        kernel = np.asarray(layer.kernel, "float64")
        signal = references.analyze(signal, kernel, 2, "same")
        if normalization.scale:
            signal = signal - signal.mean((0, 1, 2))
            signal /= np.sqrt(np.mean(signal**2, (0, 1, 2)) + 1e-5)
            signal = signal * normalization.gamma + normalization.beta
        signal = np.where(signal > 0, signal, 0.2 * signal)
    kernel = np.asarray(encoder.head.kernel, "float64")
    features = np.tensordot(signal, kernel, 3)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    found = encoder.activations(images, training=True)
    np.testing.assert_allclose(found.features, features, atol=1e-7)


def test_a_step_moves_every_weight_of_both(images):
    model, _ = made("--first_atoms=random")
    before = all_weights(model)
    model.train_step((images[:32], np.arange(32) % 10))
    for weight, other in zip(all_weights(model), before):
        assert not np.array_equal(weight, other)


@pytest.mark.parametrize("kind", ["conv", "vae"])
def test_figures_of_stages_are_those_of_no_coding_layer(kind):
    model, _ = made("--first_atoms=random", kind=kind)
    pixels = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 1), "uint8")
    *_, figures = reconstruction_figures(model, pixels)
    assert np.isfinite(figures["psnr"])
    assert figures["zero_fraction"] == figures["explained"] == []
