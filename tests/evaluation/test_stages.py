"""How images use the dictionaries, counted again without batches."""

import numpy as np
import pytest

from keras_csc import metrics
from keras_csc.evaluation.quality import reconstruction_figures
from keras_csc.evaluation.stages import code_figures
from keras_csc.evaluation.stages import dictionary_figures
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
    figures = dictionary_figures(model, images, batch_size=3)
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
    names = "explained", "nonzeros", "drawn_error"
    if not model.encoder.sparse:
        assert dictionary_figures(model, images) is None
        assert set(code_figures(model, images).values()) == {None}
        assert [figures[name] for name in names] == [None] * 3
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


def test_excess_is_that_over_the_minimum_of_the_programs():
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
            signal, kernel, 0.1, float(step), strides=2, iterations=600
        )
        value, least = (
            references.program_value(signal, z, kernel, 0.1, 2, "same")
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
