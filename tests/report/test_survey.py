"""What a page shows of codes, against loops and linear operators."""

import numpy as np
import pytest
from scipy.ndimage import maximum_filter

from keras_csc import ops
from keras_csc import report
from tests.helpers.reference_loop import small_autoencoder
from tests.helpers.reference_loop import spread_weights


def make(**changes):
    model = small_autoencoder(**{"nonnegative": True, **changes})
    spread_weights(model)
    return model


def draw(count, channels=1):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, 8, 8, channels), np.uint8)


@pytest.fixture(scope="module", params=["vector", "signed map", "lapped"])
def case(request):
    """A model, images, labels, what a page shows, and the codes."""
    changes = {}
    if request.param == "lapped":
        changes = {"kernel_size": 2, "lapped": True}
    if request.param == "signed map":
        changes = {
            "features": "map",
            "nonnegative": False,
            "image_shape": (8, 8, 3),
        }
    model = make(**changes)
    images = draw(20, model.encoder.image_shape[-1])
    labels = np.arange(20) % 4 - 1
    codes = model.encoder.activations(images / 127.5 - 1.0).codes
    found = report.survey(model, images, labels)
    return model, images, labels, found, [np.asarray(each) for each in codes]


def test_densities_and_energies_are_those_of_the_codes(case):
    model, _, _, found, codes = case
    layers = model.encoder.coding_layers
    for use, code, layer in zip(found.stages, codes, layers, strict=True):
        active = code != 0
        np.testing.assert_allclose(use.density, active.mean((0, 1, 2)))
        norms = np.sum(np.asarray(layer.kernel) ** 2, axis=(0, 1, 2))
        # What is the same everywhere has no energy.
        energies = np.var(code, axis=(0, 1, 2), dtype="float64") * norms
        np.testing.assert_allclose(
            use.shares, energies / energies.sum(), rtol=1e-4
        )
        of_images = np.mean((code - code.mean((0, 1, 2))) ** 2, (1, 2))
        with np.errstate(invalid="ignore"):  # of atoms that do not vary
            expected = np.nan_to_num(np.corrcoef(of_images.T))
        np.fill_diagonal(expected, 0)
        np.testing.assert_allclose(use.correlations, expected, atol=1e-4)


def test_classes_share_energy_as_if_all_were_as_frequent(case):
    _, _, labels, found, codes = case
    for use, code in zip(found.stages, codes):
        for atom in range(code.shape[-1]):
            varied = (code[..., atom] - code[..., atom].mean()) ** 2
            means = [np.mean(varied[labels == k]) for k in range(3)]
            np.testing.assert_allclose(
                use.class_shares[:, atom],
                np.array(means) / max(np.sum(means), 1e-30),
                atol=1e-5,
            )


def test_the_strongest_are_the_largest_codes_of_each_image(case):
    found, codes = case[3:]
    for use, code in zip(found.stages, codes):
        peaks = np.abs(code).max((1, 2))
        for atom in range(code.shape[-1]):
            found_of = peaks[use.ranked(atom), atom]
            expected = np.sort(peaks[:, atom])[::-1]
            np.testing.assert_allclose(found_of, expected[expected > 0])


def support(model, stage, place):
    """Pixels that a code of a stage reaches, `(height, width)` of bools."""
    layers = model.encoder.coding_layers[: stage + 1]
    sides = [8 // 2**number for number in range(stage + 2)]
    reached = np.zeros((1, sides[-1], sides[-1], 1), "float32")
    reached[(0, *place, 0)] = 1
    for layer, side in zip(layers[::-1], sides[-2::-1]):
        kernel = np.ones((layer.kernel.shape[0],) * 2 + (1, 1), "float32")
        reached = np.asarray(
            ops.synthesis(reached, kernel, (side, side), 2, "same")
        )
    if model.encoder.lapped:  # half a block more, within the image
        reached = maximum_filter(reached, (1, 3, 3, 1))
    return reached[0, ..., 0] > 0


def test_patches_are_the_pixels_that_a_code_reaches(case):
    model, images, _, found, codes = case
    for stage, (use, code) in enumerate(zip(found.stages, codes)):
        for atom in range(code.shape[-1]):
            if not len(use.ranked(atom)):
                continue
            number = use.ranked(atom)[0]
            size = np.abs(code[number, ..., atom])
            place = np.unravel_index(np.argmax(size), size.shape)
            reached = support(model, stage, place)
            patch = report.patches(found, stage, atom)[0]
            assert patch.shape[:2] == (use.size, use.size)
            inside = patch[..., -1] == 255
            assert inside.sum() == reached.sum()
            np.testing.assert_array_equal(
                patch[inside][:, :-1], images[number][reached]
            )


def test_large_patches_are_averaged(case):
    found = case[3]
    atom = np.argmax(found.stages[1].density)
    whole = report.patches(found, 1, atom)
    small = report.patches(found, 1, atom, side=whole.shape[1] // 2)
    inside = np.all(whole[:, :2, :2, -1] == 255, axis=(1, 2))
    expected = whole[inside, :2, :2].astype(float).mean((1, 2))
    np.testing.assert_allclose(small[inside, 0, 0], expected, atol=1)


def test_other_images_and_labels_are_errors(case):
    model, images, labels = case[:3]
    for name, wrong in (
        ("images", [images / 127.5]),
        ("labels", [images, labels[1:]]),
    ):
        with pytest.raises(ValueError, match=f"`{name}` must be"):
            report.survey(model, *wrong)


def test_silent_atoms_have_no_patches():
    model = make(sparsity=1e6)
    found = report.survey(model, draw(3))
    for stage, use in enumerate(found.stages):
        assert not use.peaks.any() and not use.shares.any()
        assert len(report.patches(found, stage, 0)) == 0
