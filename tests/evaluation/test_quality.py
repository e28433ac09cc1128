"""Figures of stages and of references, against NumPy in float64."""

import types

import numpy as np
import pytest

from keras_csc import data
from keras_csc import metrics
from keras_csc.evaluation import stages
from keras_csc.evaluation.quality import reconstruction_figures
from keras_csc.evaluation.quality import reference_figures
from keras_csc.evaluation.stages import code_figures
from tests.helpers import references
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import spread_weights


@pytest.mark.parametrize("nonnegative", [False, True])
def test_figures_of_stages_are_those_of_all_images_at_once(nonnegative):
    """In float64."""
    model = small_autoencoder(nonnegative=nonnegative, sparsity=0.3)
    spread_weights(model)
    layers = model.encoder.coding_layers
    kernel = layers[0].kernel.numpy()
    kernel[..., 1] = 0.0  # An atom that is dead.
    layers[0].kernel.assign(kernel)
    images = np.random.default_rng(0).integers(0, 256, (7, 8, 8, 1), "uint8")
    *_, figures = reconstruction_figures(model, images, batch_size=3)
    found = figures["dictionaries"]
    assert found["atoms"] == [3, 4] and found["dead_atoms"][0] == 1 / 3
    output = model.encoder.activations(images / np.float32(127.5) - 1)
    drawn = model.decoder.codes(output.features)
    for number, layer in enumerate(layers):
        signal, codes = (
            each[number].numpy().astype("float64")
            for each in (output.inputs, output.codes)
        )
        kernel = layer.kernel.numpy()
        made = references.synthesize(
            codes / layer.operator_norm.numpy(),
            kernel,
            signal.shape[1:3],
            2,
            "same",
        )
        error = np.sum((drawn[number] - codes) ** 2)
        for name, expected in (
            ("zero_fraction", np.mean(codes == 0)),
            ("explained", 1 - np.sum((signal - made) ** 2) / np.sum(signal**2)),
            ("nonzeros", np.count_nonzero(codes) / signal.size),
            ("drawn_error", error / np.sum(codes**2)),
        ):
            assert figures[name][number] == pytest.approx(expected, rel=1e-4)
        places = (codes != 0).mean((0, 1, 2))
        rare = np.mean((places > 0) & (places <= 0.01))
        assert found["rare_atoms"][number] == rare
        coherence = metrics.mutual_coherence(kernel, 2, nonnegative)
        assert found["coherence"][number] == coherence


def test_an_encoder_without_sparse_codes_has_no_such_figures():
    model = small_autoencoder(network="conv")
    images = np.random.default_rng(0).integers(0, 256, (7, 8, 8, 1), "uint8")
    *_, figures = reconstruction_figures(model, images)
    names = "explained", "nonzeros", "drawn_error", "dictionaries"
    assert [figures[name] for name in names] == [None] * 4
    assert set(code_figures(model, images).values()) == {None}


def test_excess_is_that_over_the_minimum_of_the_programs(monkeypatch):
    monkeypatch.setattr(stages, "SOLVED", 150)
    monkeypatch.setattr(stages, "STOPS", (1, 5))
    model = small_autoencoder(iterations=3, sparsity=0.1)
    spread_weights(model)
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), "uint8")
    found = code_figures(model, images)
    floats = images / np.float32(127.5) - 1
    output = model.encoder.activations(floats)
    for number, layer in enumerate(model.encoder.coding_layers):
        signal, codes = (
            each[number].numpy().astype("float64")
            for each in (output.inputs, output.codes)
        )
        bound = float(layer.operator_norm)
        program = layer.kernel.numpy().astype("float64") / bound, 0.1 / bound
        best = references.solve_sparse_code(
            signal, *program, bound, strides=2, iterations=300
        )
        value, least = (
            references.program_value(signal, z, *program, 2, "same")
            for z in (codes, best)
        )
        stage = found["codes"][number]
        excess = np.sum(value) / np.sum(least) - 1
        assert excess > 1e-3
        assert stage["excess"] == pytest.approx(excess, rel=1e-3)
        assert stage["zeros"] == pytest.approx(np.mean(codes == 0))
        assert stage["nonzeros"] == pytest.approx(
            np.count_nonzero(codes) / signal.size
        )
    layer, floats = model.encoder.coding_layers[0], floats.astype("float64")
    kernel = layer.kernel.numpy().astype("float64")
    step = 1 / float(layer.operator_norm)
    curve = found["curve"]
    assert [point["sparsity"] for point in curve] == pytest.approx(
        [0.025, 0.05, 0.1, 0.2, 0.4, 0.8]
    )
    for point in curve[::2]:
        codes = references.solve_sparse_code(
            floats,
            kernel,
            point["sparsity"],
            step,
            strides=2,
            iterations=5,
        )
        made = references.synthesize(codes, kernel, (8, 8), 2, "same")
        nonzeros = np.count_nonzero(codes) / floats.size
        assert point["nonzeros"] == pytest.approx(nonzeros, abs=2 / floats.size)
        explained = 1 - np.mean(np.square(floats - made)) / floats.var()
        assert point["explained_variance"] == pytest.approx(explained, abs=1e-4)
    qualities = found["psnr_by_solver_steps"]
    assert set(qualities) == {"1", "3", "5"}
    again = model.reconstruct(floats)
    expected = np.mean(metrics.peak_signal_to_noise_ratio(floats, again))
    assert qualities["3"] == pytest.approx(expected, abs=1e-3)
    assert model.encoder.coding_layers[0].iterations == 3


# === References ===


def digits(split, count):
    source = data.open_dataset("digits", split, (16, 16, 1))
    return data.load_arrays(source, count)[0]


def pca_figures(train, images, components, side=16):
    """Of a model with so many features, or of places of so many pixels."""
    encoder = types.SimpleNamespace(
        feature_dim=components,
        features="vector" if side == 16 else "map",
        stride=side,
    )
    model = types.SimpleNamespace(encoder=encoder)
    return reference_figures(model, train, images)


def psnr(images, made):
    images = images / 127.5 - 1
    error = np.square(images - np.clip(made, -1, 1))
    return np.mean(10 * np.log10(4 / np.mean(error, axis=(1, 2, 3))))


@pytest.mark.parametrize("side, components", [(16, 16), (8, 5)])
def test_pca_is_the_truncated_decomposition_of_blocks(side, components):
    train, images = digits("train", 400), digits("test", 300)
    corners = [(t, u) for t in range(0, 16, side) for u in range(0, 16, side)]
    cuts = [(slice(t, t + side), slice(u, u + side)) for t, u in corners]

    def blocks(images):
        parts = [images[:, t, u].reshape(len(images), -1) for t, u in cuts]
        return np.stack(parts) / 127.5 - 1

    rows = blocks(train).reshape(-1, side**2)
    mean = rows.mean(axis=0)
    basis = np.linalg.svd(rows - mean, full_matrices=False)[2][:components]
    coded = (blocks(images) - mean) @ basis.T @ basis + mean
    made = np.empty(images.shape)
    for (t, u), block in zip(cuts, coded):
        made[:, t, u] = block.reshape(-1, side, side, 1)
    figures = pca_figures(train, images, components, side)
    assert figures["training_images"] == 400
    assert figures["pca"] == pytest.approx(psnr(images, made), abs=0.05)
    assert figures["pca_components"] == components
    # What is left beside whole blocks is not compared.
    wider = [
        np.pad(x, [(0, 0), (0, 3), (0, 1), (0, 0)]) for x in (train, images)
    ]
    if side < 16:
        assert pca_figures(*wider, components, side) == figures


@pytest.mark.filterwarnings("error")
def test_components_are_no_more_than_there_can_be():
    train, images = digits("train", 7), digits("test", 300)
    figures = pca_figures(train, train, 500)
    assert figures["pca_components"] == 7 and figures["pca"] == 100
    figures = pca_figures(train[:1], images, 3)
    assert figures["pca_components"] == 0
    alone = psnr(images, train[:1] / 127.5 - 1)
    assert figures["pca"] == pytest.approx(alone, abs=1e-4)
