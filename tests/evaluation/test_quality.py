"""Figures of stages and of references, against NumPy in float64."""

import numpy as np
import pytest

from keras_csc import data
from keras_csc import metrics
from keras_csc.evaluation import stages
from keras_csc.evaluation.quality import reconstruction_figures
from keras_csc.evaluation.quality import reference_figures
from keras_csc.evaluation.quality import reference_psnr
from keras_csc.evaluation.stages import code_figures
from tests.helpers import references
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import spread_weights


@pytest.mark.parametrize("nonnegative", [False, True])
def test_figures_are_those_of_all_codes_at_once(nonnegative):
    model = small_autoencoder(nonnegative=nonnegative, sparsity=0.3)
    spread_weights(model)
    layers = model.encoder.coding_layers
    kernel = layers[0].kernel.numpy()
    kernel[..., 1] = 0.0  # An atom that is dead.
    layers[0].kernel.assign(kernel)
    images = np.random.default_rng(0).integers(0, 256, (7, 8, 8, 1), "uint8")
    *_, figures = reconstruction_figures(model, images, batch_size=3)
    figures = figures["dictionaries"]
    codes = model.encoder.activations(images).codes
    assert figures["atoms"] == [3, 4] and figures["dead_atoms"][0] == 1 / 3
    for number, (layer, code) in enumerate(zip(layers, codes)):
        code = code.numpy().astype("float64")
        active = code != 0
        places, found = active.mean((0, 1, 2)), active.any((1, 2)).mean(0)
        for name, expected in (("density", places), ("image_density", found)):
            expected = np.sort(np.percentile(expected, [0, 25, 50, 75, 100]))
            np.testing.assert_allclose(
                figures[name][number], expected, atol=1e-6
            )
        rare = np.mean((places > 0) & (places <= 0.01))
        assert figures["rare_atoms"][number] == rare
        kernel = layer.kernel.numpy()
        energy = np.sum(code**2, (0, 1, 2)) * np.sum(kernel**2, (0, 1, 2))
        share = energy[energy > 0] / energy.sum()
        effective = np.prod(share**-share)
        assert figures["effective_atoms"][number] == pytest.approx(
            effective, rel=1e-4
        )
        coherence = metrics.mutual_coherence(kernel, 2, nonnegative)
        assert figures["coherence"][number] == coherence


@pytest.mark.parametrize("changes", [{}, {"network": "conv"}], ids=str)
def test_what_stages_explain_find_and_draw(changes):
    """Of all images at once, in float64."""
    model = small_autoencoder(**changes)
    spread_weights(model)
    images = np.random.default_rng(0).integers(0, 256, (7, 8, 8, 1), "uint8")
    *_, figures = reconstruction_figures(model, images, batch_size=3)
    names = "explained", "nonzeros", "drawn_error", "dictionaries"
    if not model.encoder.sparse:
        assert set(code_figures(model, images).values()) == {None}
        assert [figures[name] for name in names] == [None] * 4
        return
    output = model.encoder.activations(images / np.float32(127.5) - 1)
    drawn = model.decoder.codes(output.features)
    for number, layer in enumerate(model.encoder.coding_layers):
        signal, codes = (
            each[number].numpy().astype("float64")
            for each in (output.inputs, output.codes)
        )
        made = references.synthesize(
            codes, layer.kernel.numpy(), signal.shape[1:3], 2, "same"
        )
        error = np.sum((drawn[number] - codes) ** 2)
        expected = {
            "explained": 1 - np.sum((signal - made) ** 2) / np.sum(signal**2),
            "nonzeros": np.count_nonzero(codes) / signal.size,
            "drawn_error": error / np.sum(codes**2),
        }
        for name, value in expected.items():
            assert figures[name][number] == pytest.approx(value, rel=1e-4)


def test_excess_is_that_over_the_minimum_of_the_programs(monkeypatch):
    monkeypatch.setattr(stages, "SOLVED", 150)
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
        kernel, step = layer.kernel.numpy().astype("float64"), layer.step_size
        best = references.solve_sparse_code(
            signal, kernel, 0.1, float(step), strides=2, iterations=300
        )
        value, least = (
            references.program_value(signal, z, kernel, 0.1, 0.0, 2, "same")
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
    assert set(qualities) == {"1", "2", "3", "5", "10", "20", "50"}
    again = model.reconstruct(floats)
    expected = np.mean(metrics.peak_signal_to_noise_ratio(floats, again))
    assert qualities["3"] == pytest.approx(expected, abs=1e-3)
    assert model.encoder.coding_layers[0].iterations == 3


WHOLE = 16, 16


def digits(split, count):
    source = data.open_dataset("digits", split, (16, 16, 1))
    images, labels = data.load_arrays(source, count)
    return (images / 127.5 - 1.0).astype("float32"), labels


@pytest.fixture(scope="module")
def sets():
    return digits("train", 400), digits("test", 300)


def psnr(images, made):
    error = np.square(images - np.clip(made, -1, 1), dtype="float64")
    return np.mean(10 * np.log10(4 / np.mean(error, axis=(1, 2, 3))))


def test_means_are_numpys(sets):
    (train, train_labels), (images, labels) = sets
    found = reference_psnr(train, images, 3, train_labels, labels, WHOLE)
    assert found["mean_image"] == pytest.approx(
        psnr(images, train.mean(axis=0)[None]), abs=1e-4
    )
    means = np.stack([train[train_labels == k].mean(axis=0) for k in range(10)])
    assert found["class_mean_image"] == pytest.approx(
        psnr(images, means[labels]), abs=1e-4
    )
    assert found["mean_image"] < found["class_mean_image"]


@pytest.mark.parametrize("side, components", [(16, 16), (8, 5)])
def test_pca_is_the_truncated_decomposition_of_blocks(sets, side, components):
    (train, train_labels), (images, labels) = sets
    corners = [(t, u) for t in range(0, 16, side) for u in range(0, 16, side)]
    cuts = [(slice(t, t + side), slice(u, u + side)) for t, u in corners]

    def blocks(images):
        parts = [images[:, t, u].reshape(len(images), -1) for t, u in cuts]
        return np.stack(parts)

    rows = blocks(train).reshape(-1, side**2)
    mean = rows.mean(axis=0)
    basis = np.linalg.svd(rows - mean, full_matrices=False)[2][:components]
    coded = (blocks(images) - mean) @ basis.T @ basis + mean
    made = np.empty_like(images)
    for (t, u), block in zip(cuts, coded):
        made[:, t, u] = block.reshape(-1, side, side, 1)
    none = np.full(len(labels), -1)
    found = reference_psnr(
        train, images, components, train_labels, none, (side, side)
    )
    assert found["pca"] == pytest.approx(psnr(images, made), abs=0.05)
    assert found["pca_components"] == components
    assert found["class_mean_image"] is None


@pytest.mark.filterwarnings("error")
def test_components_are_no_more_than_there_can_be(sets):
    (train, train_labels), (images, labels) = sets
    few = train[:7], train[:7], 500, train_labels[:7], train_labels[:7]
    found = reference_psnr(*few, WHOLE)
    assert found["pca_components"] == 7 and found["pca"] == 100
    one = train[:1], images, 3, train_labels[:1], labels
    found = reference_psnr(*one, WHOLE)
    assert found["pca_components"] == 0
    assert found["pca"] == found["mean_image"]


def test_images_without_a_class_mean_are_left_out(sets):
    (train, train_labels), (images, labels) = sets
    kept = train_labels != 3
    hidden = np.where(labels == 5, -1, labels)
    known = ~np.isin(labels, (3, 5))
    arguments = train[kept], images, 1, train_labels[kept]
    partly = reference_psnr(*arguments, hidden, WHOLE)
    arguments = train[kept], images[known], 1, train_labels[kept]
    expected = reference_psnr(*arguments, labels[known], WHOLE)
    assert partly["class_mean_image"] == pytest.approx(
        expected["class_mean_image"]
    )


def test_images_that_are_no_whole_blocks_are_compared_without_their_rest():
    model = small_autoencoder(features="map")
    images = np.random.default_rng(0).integers(0, 256, (9, 10, 13, 1), np.uint8)
    labels = np.zeros(9, np.int32)
    found, expected = (
        reference_figures(model, each, labels, each, labels)
        for each in (images, images[:, :8, :12])
    )
    assert found == expected
