"""Figures of stages and of references, against NumPy in float64."""

import types

import numpy as np
import pytest
from PIL import Image

from keras_csc import data
from keras_csc import evaluation
from keras_csc import metrics
from keras_csc.evaluation import probing
from keras_csc.evaluation import stages
from keras_csc.evaluation.quality import class_figures
from keras_csc.evaluation.quality import reconstruction_figures
from keras_csc.evaluation.quality import reference_figures
from keras_csc.evaluation.stages import code_figures
from tests.helpers import references
from tests.helpers.reference_loop import spread_autoencoder


@pytest.mark.parametrize("nonnegative", [False, True])
def test_figures_of_stages_are_those_of_all_images_at_once(nonnegative):
    """In float64."""
    model = spread_autoencoder(nonnegative=nonnegative, sparsity=0.3)
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


def test_excess_is_that_over_the_minimum_of_the_programs(monkeypatch):
    monkeypatch.setattr(stages, "SOLVED", 150)
    monkeypatch.setattr(stages, "STOPS", (1, 5))
    model = spread_autoencoder(iterations=3, sparsity=0.1)
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


# === Features and maps, also where classes are missing ===


def test_figures_and_pictures_of_a_model_of_maps(tmp_path):
    model = spread_autoencoder(features="map")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 8, 8, 1), np.uint8)
    labels = np.arange(40, dtype=np.int32) % 2
    found = evaluation.evaluate(model, images, labels, images, labels)
    assert found.features.shape == (40, 2, 2, 5)
    figures = found.figures
    assert figures["psnr_of"]["pca_components"] == 5
    evaluation.draw(model, found, images, labels, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"evaluation.png", "atoms_1.png"} <= names
    vectors = found._replace(features=np.eye(5, dtype="float32")[labels])
    evaluation.draw(model, vectors, images, labels, tmp_path)
    dark = np.asarray(Image.open(tmp_path / "feature_similarity.png")) == 0
    classes = np.sort(labels)
    np.testing.assert_array_equal(dark, classes[:, None] == classes)


def features_and_labels():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 6)).astype("float32")
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return features, np.arange(60) % 3


def test_same_class_is_of_labelled_images():
    rng = np.random.default_rng(0)
    probabilities, labels = rng.dirichlet(np.ones(4), 50), np.arange(50) % 5 - 1

    def judge(images):
        return None, probabilities[::-1] if images == "made" else probabilities

    judge.name = "judge"
    found = class_figures(judge, "images", "made", labels)
    for name, rows in (
        ("same_class_of_images", probabilities),
        ("same_class", probabilities[::-1]),
    ):
        right = rows.argmax(1)[labels >= 0] == labels[labels >= 0]
        assert found[name] == pytest.approx(np.mean(right))
    found = class_figures(judge, "images", "made", np.full(50, -1))
    assert set(found.values()) == {None}


def test_a_single_feature_has_no_subspaces():
    features, labels = features_and_labels()
    rows = features[:, :1]
    found = probing.probe_figures((rows, labels), (rows, labels), rows)
    assert found["nearest_subspace_accuracy"] is None
    assert found["reconstructed_nearest_subspace_accuracy"] is None
    assert found["nearest_subspace_components"] is None
